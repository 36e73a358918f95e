"""The notebooks where others run them: on one's own photos from anywhere, and on Colab."""

import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from pathlib import Path

import nbformat
import papermill
import pytest
from PIL import Image

from helpers import ImageStore, list_images

from .support.notebooks import NOTEBOOKS, check_clean, outputs, tagged
from .support.processes import ROOT, environment


@pytest.fixture
def own_photos(tmp_path, drawings) -> Path:
    """Seven pictures, four of them without a label, and one broken file.

    Those with the label are smaller, and not among the first hits of the query below.
    """
    folder = tmp_path / "my photos"
    (folder / "small").mkdir(parents=True)
    for index, path in enumerate(list_images(drawings)[:7]):
        small = index in (0, 1, 3)
        image = Image.open(path).resize((90, 90) if small else (200, 150))
        image.save(folder / ("small" if small else "") / f"{index}.jpg")
    (folder / "0 broken.jpg").write_bytes(b"")
    return folder


def test_the_notebooks_run_on_ones_own_folder_model_and_query(
    tmp_path, own_photos, checkpoint, monkeypatch
):
    """By papermill alone, from another working directory, as the README shows.

    03 comes first: a notebook that is opened alone does itself what it misses. 01 and 04 have no
    parameter of another kind; they run on somebody's photos with the README's commands.
    """
    monkeypatch.chdir(tmp_path)
    for name, value in environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    parameters = {"profile": "demo", "model_name": str(checkpoint), "image_dir": "my photos"}
    parameters |= {"prune": "false", "recreate": "no", "batch_size": "3"}
    parameters |= {"unlike": 5, "templates": "{}, a photo of {}"}
    parameters |= {"judged": "my judgements.csv", "keep": "yes"}
    judged = "query,filepath,relevant\n<b>$one$,small/0.jpg,1\n<b>$one$,2.jpg,0\n2019,2.jpg,1\n"
    Path("my judgements.csv").write_text(judged + "nothing,,0\n")
    Path("captions.jsonl").write_text('{"file": "small/0.jpg", "captions": ["one"]}')
    parameters |= {"captions": "captions.jsonl"}  # what was judged comes first
    for path in (NOTEBOOKS[2], NOTEBOOKS[1], *NOTEBOOKS[4:]):
        known = papermill.inspect_notebook(str(path))
        own = parameters | {"query_text": 'it\'s "odd" <b>'}
        own = {name: value for name, value in own.items() if name in known}
        papermill.execute_notebook(str(path), path.name, own, progress_bar=False)
        check_clean(Path(path.name))
        (own_photos / "2.jpg").unlink(missing_ok=True)  # its row stays: "false" is not yes
    said = {"06_evaluation": "1 query has nothing to find"}
    said |= {"07_no_match": "Fewer than 20 images say too little"}
    for name, words in said.items():
        report = Path(f"{name}.ipynb").read_text(encoding="utf-8")
        assert "judged queries: 3 queries, 7 images" in report
        assert words in report
    assert "0 broken.jpg" in Path("02_ingestion.ipynb").read_text(encoding="utf-8")
    with ImageStore(tmp_path / "data" / "milvus.db", "demo_collection") as store:
        assert store.count() == 7


@pytest.mark.skipif(os.name != "posix", reason="Colab is Linux")
def test_a_notebook_on_colab_installs_the_project_and_prepares_what_it_misses(tmp_path):
    """Simulated: Colab's shell, the project from a local clone, an empty folder, no network.

    The virtual environment sees this one's packages, but not its editable install.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    own = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (own / "outer.pth").write_text(str(Path(nbformat.__file__).parent.parent))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text(
        "shell = get_ipython()\n"
        "names = {'__module__': 'google.colab._shell'}\n"
        "shell.__class__ = type('Shell', (type(shell),), names)\n"
    )
    subprocess.run(["git", "clone", "--quiet", ROOT, tmp_path / "source"], check=True)
    notebook = nbformat.read(ROOT / "notebooks" / "04_visualization.ipynb", as_version=4)
    cell = notebook.cells[tagged(notebook, "colab")[0]]
    cell.source, changed = re.subn(
        r"git\+https://\S+", f"git+{(tmp_path / 'source').as_uri()}", cell.source
    )
    assert changed == 1
    notebook.cells.append(nbformat.v4.new_code_cell("import helpers\nprint(helpers.__file__)"))
    content = tmp_path / "content"
    content.mkdir()
    nbformat.write(notebook, content / "04.ipynb")
    env = environment(
        tmp_path / "data",
        IPYTHONDIR=str(tmp_path / "ipython"),
        PIP_NO_INDEX="1",
        PIP_NO_BUILD_ISOLATION="0",  # pip reads this one upside down
        PATH=f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
    )
    del env["IMAGE_SEARCH_DATA_DIR"]
    interpreter = tmp_path / "venv" / "bin" / "python"
    command = [interpreter, "-m", "papermill", "04.ipynb", "out.ipynb", "--no-progress-bar"]
    done = subprocess.run(command, env=env, cwd=content, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-3000:]
    shown = list(outputs(content / "out.ipynb"))
    assert shown[-1].text.strip() == str(own / "helpers" / "__init__.py")
    assert any("This is the demo." in o.get("data", {}).get("text/html", "") for o in shown)
    assert sum("image/png" in output.get("data", {}) for output in shown) == 2
    assert (content / "data" / "milvus.db").exists()
    check_that_the_demo_can_be_searched(interpreter, content, env)


@pytest.mark.skipif(os.name != "posix", reason="Colab is Linux")
def test_an_installation_changes_nothing_that_colab_runs_on(tmp_path):
    """Resolved by pip, from wheels that hold nothing but the metadata of what is installed here.

    Installed are the oldest versions that pyproject.toml allows; Colab's kernel runs on some.
    """
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for distribution in importlib.metadata.distributions():
        metadata = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
        stem = f"{re.sub('[-_.]+', '_', distribution.name)}-{distribution.version}"
        with zipfile.ZipFile(wheels / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(project["dependencies"]), re.M))
    kept = ["numpy", "pandas", "torch", "torchvision", "pillow", "matplotlib"]
    kept += ["scikit-learn", "scipy"]
    installed = {name: oldest[name] for name in kept} | {"ipykernel": "6.17", "ipython": "7.34"}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    for name, version in installed.items():
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(metadata)
    command = [sys.executable, "-m", "pip", "--python", tmp_path / "venv" / "bin" / "python"]
    command += ["install", "--dry-run", "--quiet", "--no-index", "--find-links", wheels]
    command += ["--report", "-", project["name"]]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    changed = {item["metadata"]["name"].lower() for item in json.loads(done.stdout)["install"]}
    assert "pymilvus" in changed
    assert changed & installed.keys() == set()


def check_that_the_demo_can_be_searched(interpreter: Path, folder: Path, env: dict) -> None:
    """With the package alone: no checkout, and nothing but the data below the folder."""
    script = """
        from helpers import Settings, open_collection, prepare, search
        encoder, store = open_collection(prepare(Settings.resolve("demo")))
        found = search("two blue birds", encoder, store)
        print({hit.label for hit in found}, found.matches)
    """
    before = sorted(folder.iterdir())
    run = functools.partial(subprocess.run, env=env, cwd=folder, capture_output=True, text=True)
    done = run([interpreter, "-c", textwrap.dedent(script)])
    assert done.stdout.splitlines()[-1] == "{'two blue birds'} True", done.stderr
    assert sorted(folder.iterdir()) == before
    done = run([interpreter, "-m", "helpers"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The notebooks are not here: run this in a clone of the project\n"
