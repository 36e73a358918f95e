"""The notebooks: their form, and that they run, by papermill, by nbval and as on Colab."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest

from helpers import (
    ClipEncoder,
    ImageStore,
    Query,
    SearchPanel,
    Settings,
    list_images,
    search,
)

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PARAMETERS = ["profile", "model_name", "image_dir", "milvus_uri", "collection_name"]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag: str) -> list[int]:
    cells = notebook.cells
    return [i for i, cell in enumerate(cells) if tag in cell.metadata.get("tags", [])]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Give the environment of a run that keeps its data to itself and knows no network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MILVUS_")}
    proxies = dict.fromkeys(["http_proxy", "https_proxy"], "http://127.0.0.1:9")
    own = {"IMAGE_SEARCH_DATA_DIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    return kept | proxies | {"no_proxy": "127.0.0.1,localhost", "PYTHONUTF8": "1"} | own | more


def python(*arguments, env: dict, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, encoding="utf-8")


def outputs(path: Path):
    for cell in code(nbformat.read(path, as_version=4)):
        yield from cell.outputs


def check_clean(path: Path) -> None:
    """Refuse errors, and whatever was written to stderr: warnings and logs of libraries."""
    for output in outputs(path):
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", f"{path.name}: {output.text}"


@each_notebook
def test_a_notebook_is_stripped_and_keeps_to_the_form(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    headings = re.findall(r"^# .+", notebook.cells[0].source, re.MULTILINE)
    assert len(headings) == 1
    for cell in code(notebook):
        assert not cell.outputs
        assert cell.execution_count is None
        assert len(cell.source.splitlines()) <= 20
        assert not re.search(r"^(def|class) ", cell.source, re.MULTILINE)
    assert len(notebook.cells) <= 30


@each_notebook
def test_a_notebook_begins_with_the_same_cells_and_parameters(path):
    notebook = nbformat.read(path, as_version=4)
    colab, parameters = tagged(notebook, "colab"), tagged(notebook, "parameters")
    assert (len(colab), len(parameters)) == (1, 1)
    first = nbformat.read(NOTEBOOKS[0], as_version=4)
    assert notebook.cells[colab[0]].source == first.cells[tagged(first, "colab")[0]].source
    lines = notebook.cells[parameters[0]].source.splitlines()
    assert lines[:5] == [f"{name} = None" for name in PARAMETERS]
    assert "token" not in "".join(lines)


@each_notebook
def test_the_projects_address_is_that_of_pyproject(path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    addresses = re.findall(r'^repository = "(.+)"  # @param', _sources(path), re.MULTILINE)
    assert addresses == [address], "write the address of pyproject.toml into the first code cell"


def _sources(path: Path) -> str:
    return "\n".join(cell.source for cell in code(nbformat.read(path, as_version=4)))


def test_links_between_notebooks_lead_somewhere():
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            for target in re.findall(r"\]\((?!https?:|attachment:)([^)]+)\)", cell.source):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """Run all notebooks in order with `python -m helpers`, from a fresh folder, offline."""
    folder = tmp_path_factory.mktemp("demo")
    env = environment(folder / "data", MILVUS_TOKEN="geheim-token")
    done = python("-m", "helpers", "--profile", "demo", "--output", folder / "runs", env=env)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout, encoding="utf-8")
    return folder


def test_every_notebook_runs_clean_under_papermill(demo):
    for path in NOTEBOOKS:
        check_clean(demo / "runs" / path.name)
        assert "<img" in (demo / "runs" / path.with_suffix(".html").name).read_text(
            encoding="utf-8"
        )


def test_the_run_ends_with_the_hits_and_where_to_look(demo):
    printed = (demo / "stdout").read_text(encoding="utf-8")
    hits = re.findall(r"^ +\d+  0\.\d+  (.+)/.+\.jpg", printed, re.MULTILINE)
    assert hits == ["red star"] * 10
    assert "a red star: 10 images in" in printed
    assert str(demo / "runs") in printed


def test_the_executed_notebooks_hold_their_pictures(demo):
    shown = {path.stem: list(outputs(demo / "runs" / path.name)) for path in NOTEBOOKS}
    grids = [o.data["text/html"] for o in shown["03_search"] if "text/html" in o.get("data", {})]
    assert max(html.count("<img ") for html in grids) == 10
    figures = [o for o in shown["04_visualization"] if "image/png" in o.get("data", {})]
    assert len(figures) == 2


def test_a_token_in_the_environment_reaches_no_file(demo):
    for path in (demo / "runs").iterdir():
        assert "geheim-token" not in path.read_text(encoding="utf-8")
    for path in (demo / "data").rglob("*.json"):
        assert "geheim-token" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("combined", [True, False], ids=["combined", "unlike alone"])
def test_panel_cell_and_papermill_give_the_same_hits(demo, combined, monkeypatch):
    """What is found by hand can be run again: by the panel's line of code, and by papermill."""
    for name, value in environment(demo / "data", IMAGE_SEARCH_PROFILE="demo").items():
        monkeypatch.setenv(name, value)
    settings = Settings.resolve()
    images = list_images(settings.image_dir)
    encoder = ClipEncoder(settings.model_name)
    with ImageStore(settings.milvus_uri, settings.collection_name) as store:
        panel = SearchPanel(encoder, store, limit=7)
        panel.unlike.value = "a yellow thing"
        if combined:
            panel.image = images[123]
            panel.labels.value = sorted({path.parent.name for path in images})[:40]
            panel.templates.value = True
            panel.query.value = 'a "red" star'
        names = {"search": search, "Query": Query, "encoder": encoder, "store": store}
        assert eval(panel.found.code, names).hits == panel.found.hits
        table = panel.found.to_frame()
    path = ROOT / "notebooks" / "03_search.ipynb"
    own = panel.parameters | {"output_csv": str(demo / "hits.csv")}
    papermill.execute_notebook(str(path), str(demo / "again.ipynb"), own, progress_bar=False)
    by_papermill = pd.read_csv(demo / "hits.csv")
    assert len(table) == 7
    pd.testing.assert_frame_equal(by_papermill[table.columns], table, atol=1e-4, check_dtype=False)


def test_a_second_run_of_ingestion_encodes_nothing(demo):
    env = environment(demo / "data")
    output = demo / "again"
    done = python("-m", "helpers", "02_ingestion", "--output", output, env=env)  # auto: prepared
    assert done.returncode == 0, done.stderr
    reports = [
        o.data["text/html"]
        for o in outputs(output / "02_ingestion.ipynb")
        if "unchanged" in o.get("data", {}).get("text/html", "")
    ]
    assert len(reports) == 2
    for report in reports:  # found, inserted, updated, unchanged
        assert re.findall(r"<td>([\d.]+)</td>", report)[:4] == ["1000", "0", "0", "1000"]


def test_every_notebook_runs_under_nbval(tmp_path):
    env = environment(tmp_path, IMAGE_SEARCH_PROFILE="demo")
    arguments = ["-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-W", "ignore"]
    done = python(*arguments, "-c", os.devnull, *NOTEBOOKS, env=env, cwd=ROOT / "notebooks")
    assert done.returncode == 0, done.stdout[-5000:]
    cells = sum(len(code(nbformat.read(path, as_version=4))) for path in NOTEBOOKS)
    assert f"{cells} passed" in done.stdout


def test_auto_without_network_runs_the_demo_and_says_so(tmp_path):
    output = tmp_path / "out"
    env = environment(tmp_path / "data", HOME=str(tmp_path))
    done = python("-m", "helpers", "01_setup", "--output", output, env=env)
    assert done.returncode == 0, done.stderr
    assert "This is the demo." in (output / "01_setup.ipynb").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "data" / "prepared.json").read_text(encoding="utf-8")) == {
        "profile": "demo"
    }


@pytest.fixture
def own_photos(tmp_path, drawings) -> Path:
    """A folder of seven pictures without labels, and one broken file."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    for index, path in enumerate(list_images(drawings)[:7]):
        (folder / f"{index}.jpg").write_bytes(path.read_bytes())
    (folder / "0 broken.jpg").write_bytes(b"")
    return folder


def test_the_notebooks_run_on_ones_own_folder_model_and_query(
    tmp_path, own_photos, checkpoint, monkeypatch
):
    """By papermill alone, from another working directory, as the README shows."""
    monkeypatch.chdir(tmp_path)
    for name, value in environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    parameters = {
        "profile": "demo",
        "model_name": str(checkpoint),
        "image_dir": "my photos",
        "collection_name": "mine",
    }
    for path in NOTEBOOKS:
        known = papermill.inspect_notebook(str(path))
        own = parameters | {"query_text": 'it\'s "odd" <b>'}
        own = {name: value for name, value in own.items() if name in known}
        papermill.execute_notebook(str(path), path.name, own, progress_bar=False)
        check_clean(Path(path.name))
    assert "0 broken.jpg" in Path("02_ingestion.ipynb").read_text(encoding="utf-8")


def test_a_failing_notebook_makes_the_run_fail_and_names_notebook_and_cell(tmp_path):
    """Here for want of a server; and the token is not in the traceback that is kept."""
    env = environment(tmp_path, MILVUS_TOKEN="geheim-token")
    arguments = ["-p", "milvus_uri", "http://root:geheim-wort@127.0.0.1:9", "--output", tmp_path]
    done = python("-m", "helpers", "01_setup", "--profile", "demo", *arguments, env=env)
    assert done.returncode == 1
    assert re.search(r"01_setup.ipynb failed in cell \[\d+\]: ConnectionError", done.stderr)
    assert "geheim-token" not in (tmp_path / "01_setup.ipynb").read_text(encoding="utf-8")


def test_a_cell_that_takes_too_long_is_named(tmp_path):
    arguments = ["01_setup", "--profile", "demo", "--timeout", "1", "--output", tmp_path]
    done = python("-m", "helpers", *arguments, env=environment(tmp_path))
    assert done.returncode == 1
    assert re.search(r"01_setup.ipynb failed in cell \[\d+\]: A cell timed out", done.stderr)


def test_a_relative_folder_is_the_callers(tmp_path, own_photos):
    own_photos.rename(tmp_path / "mine")
    arguments = ["01_setup", "--profile", "demo", "-p", "image_dir", "mine", "--output", "out"]
    done = python("-m", "helpers", *arguments, env=environment(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    executed = (tmp_path / "out" / "01_setup.ipynb").read_text(encoding="utf-8")
    assert str(tmp_path / "mine") in executed
    assert "These are not CLIP's answers" in executed


def test_a_later_notebook_opened_alone_fills_what_it_misses(tmp_path):
    env = environment(tmp_path)
    done = python("-m", "helpers", "03_search", "--profile", "demo", "--output", tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "red star/red-star-" in done.stdout


def test_an_unknown_notebook_is_refused_with_the_known_ones(tmp_path):
    done = python("-m", "helpers", "3_search", env=environment(tmp_path))
    assert done.returncode == 2
    assert "no notebook '3_search'; there are 01_setup" in done.stderr


def test_an_unknown_parameter_is_refused_with_the_known_ones(tmp_path):
    done = python("-m", "helpers", "-p", "colection_name", "x", env=environment(tmp_path))
    assert done.returncode == 2
    assert "'colection_name'; known: batch_size, collection_name" in done.stderr


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
    command = [interpreter, "-m", "papermill", "01_setup.ipynb", "out.ipynb"]
    command += ["-p", "profile", "demo", "--no-progress-bar"]
    for _ in ("first", "after a restart of the session"):
        done = subprocess.run(
            command, env=env, cwd=tmp_path / "content", capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr[-3000:]
    clone = tmp_path / "content" / "text-to-image-search"
    assert (clone / "notebooks").is_dir()
    assert (own / "helpers" / "__init__.py").is_file()
    executed = (tmp_path / "content" / "out.ipynb").read_text(encoding="utf-8")
    assert "1,000 images with 100 labels" in executed
