"""The notebooks where others run them: on one's own photos from anywhere, and on Colab."""

import functools
import os
import re
import subprocess
import sys
import textwrap
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

    03 comes first: a notebook that is opened alone does itself what it misses.
    """
    monkeypatch.chdir(tmp_path)
    for name, value in environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    parameters = {"profile": "demo", "model_name": str(checkpoint), "image_dir": "my photos"}
    for path in (NOTEBOOKS[2], *NOTEBOOKS[:2], *NOTEBOOKS[3:]):
        known = papermill.inspect_notebook(str(path))
        own = parameters | {"query_text": 'it\'s "odd" <b>', "prune": "false", "recreate": "no"}
        own = {name: value for name, value in own.items() if name in known}
        papermill.execute_notebook(str(path), path.name, own, progress_bar=False)
        check_clean(Path(path.name))
        (own_photos / "2.jpg").unlink(missing_ok=True)  # its row stays: "false" is not yes
    assert "0 broken.jpg" in Path("02_ingestion.ipynb").read_text(encoding="utf-8")
    with ImageStore(tmp_path / "data" / "demo" / "milvus.db", "demo_collection") as store:
        assert store.count() == 7


@pytest.mark.skipif(os.name != "posix", reason="Colab is Linux")
def test_on_colab_the_first_cell_fetches_and_installs_the_project(tmp_path):
    """Simulated: `google.colab` is loaded, the project comes from a local clone, installed plainly.

    The virtual environment sees this one's packages, but not its editable install.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    own = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (own / "outer.pth").write_text(str(Path(nbformat.__file__).parent.parent))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "colab.py").write_text(
        "import sys, types\nsys.modules['google.colab'] = types.ModuleType('google.colab')\n"
    )
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", ROOT, source], check=True)
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    cell = notebook.cells[tagged(notebook, "colab")[0]]
    cell.source = cell.source.replace("/content", str(tmp_path / "content"))
    cell.source = re.sub(r'repository = ".+?"', f'repository = "{source}"', cell.source)
    seen = "import os, helpers\nprint(os.getcwd())\nprint(helpers.__file__)"
    notebook.cells = [cell, nbformat.v4.new_code_cell(seen)]
    (tmp_path / "content").mkdir()
    nbformat.write(notebook, tmp_path / "content" / "01_setup.ipynb")
    env = environment(
        tmp_path / "data",
        IPYTHONDIR=str(tmp_path / "ipython"),
        PIP_NO_INDEX="1",
        PIP_NO_BUILD_ISOLATION="0",  # pip reads this one upside down
        PATH=f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
    )
    interpreter = tmp_path / "venv" / "bin" / "python"
    command = [interpreter, "-m", "papermill", "01_setup.ipynb", "out.ipynb", "--no-progress-bar"]
    for _ in ("first", "after a restart of the session"):
        done = subprocess.run(
            command, env=env, cwd=tmp_path / "content", capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr[-3000:]
        printed = list(outputs(tmp_path / "content" / "out.ipynb"))[-1].text
        notebooks = tmp_path / "content" / "text-to-image-search" / "notebooks"
        assert printed.splitlines() == [str(notebooks), str(own / "helpers" / "__init__.py")]
    check_that_the_demo_can_be_searched(interpreter, tmp_path / "empty", env)


def check_that_the_demo_can_be_searched(interpreter: Path, folder: Path, env: dict) -> None:
    """With the package alone: no checkout, an empty folder, data below it."""
    script = """
        from helpers import Settings, open_collection, prepare, search
        encoder, store = open_collection(prepare(Settings.resolve("demo")))
        found = search("two blue birds", encoder, store)
        print({hit.label for hit in found}, found.matches)
    """
    folder.mkdir()
    env = {name: value for name, value in env.items() if name != "IMAGE_SEARCH_DATA_DIR"}
    run = functools.partial(subprocess.run, env=env, cwd=folder, capture_output=True, text=True)
    done = run([interpreter, "-c", textwrap.dedent(script)])
    assert done.stdout.splitlines()[-1] == "{'two blue birds'} True", done.stderr
    assert [path.name for path in folder.iterdir()] == ["data"]
    done = run([interpreter, "-m", "helpers"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The notebooks are not here: run this in a clone of the project\n"
