"""The notebooks: their form, and that they run, by papermill and by nbval."""

import json
import os
import re
import statistics
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers import (
    AnyOf,
    ClipEncoder,
    ImageStore,
    Query,
    SearchPanel,
    SearchResults,
    Settings,
    list_images,
    search,
)

from .support.notebooks import NOTEBOOKS, check_clean, code, outputs, tagged
from .support.processes import ROOT, TOKEN, environment, python

PARAMETERS = ["profile", "model_name", "image_dir", "milvus_uri", "collection_name"]
EVERY = ", ".join(path.stem[:2] for path in NOTEBOOKS)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_a_notebook_is_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    for cell in code(notebook):
        assert not cell.outputs
        assert cell.execution_count is None


@each_notebook
def test_a_notebook_is_a_lesson_and_not_machinery(path):
    notebook = nbformat.read(path, as_version=4)
    assert len(re.findall(r"^# .+", notebook.cells[0].source, re.MULTILINE)) == 1
    longest = 30 if path.stem == "06_evaluation" else 22
    assert 12 <= len(notebook.cells) <= longest
    lines = {cell.id: len(cell.source.splitlines()) for cell in code(notebook)}
    (parameters,) = tagged(notebook, "parameters")
    assert lines.pop(notebook.cells[parameters].id) <= 17
    assert max(lines.values()) <= 12
    assert max(len(line) for cell in code(notebook) for line in cell.source.splitlines()) <= 92
    assert statistics.median(lines.values()) <= 4
    lesson = notebook.cells[parameters + 2 :]
    for before, cell in pairwise(lesson):
        assert cell.cell_type == "markdown" or before.cell_type == "markdown", cell.source
    before_it = [cell for cell in notebook.cells[: parameters + 2] if cell.cell_type == "code"]
    assert sum(len(cell.source.splitlines()) for cell in before_it) <= 25
    words = {kind: 0 for kind in ("markdown", "code")}
    for cell in notebook.cells:
        words[cell.cell_type] += len(cell.source.split())
        assert not re.search(r"^(def|class) ", cell.source, re.MULTILINE)
    assert words["markdown"] >= 2 * words["code"]
    assert notebook.cells[-1].source.count("<details>") >= 2


@each_notebook
def test_a_notebook_begins_with_the_same_cells_and_parameters(path):
    notebook = nbformat.read(path, as_version=4)
    kinds = [cell.metadata.get("tags", [cell.cell_type])[0] for cell in notebook.cells]
    assert kinds[:6] == ["markdown", "colab", "code", "parameters", "settings", "markdown"]
    first = nbformat.read(NOTEBOOKS[0], as_version=4)
    assert notebook.cells[1].source == first.cells[1].source
    assert len(notebook.cells[1].source.splitlines()) == 3
    shared = notebook.cells[3].source.splitlines()[:6]
    assert shared == first.cells[3].source.splitlines()[:6]
    assert [line.split(": str = None")[0] for line in shared[1:]] == PARAMETERS
    assert "token" not in notebook.cells[3].source
    undeclared = re.findall(r"^\w+ =", notebook.cells[3].source, re.MULTILINE)
    assert not undeclared, "a parameter has a type, by which it is read"
    assert "prepare(Settings.read(globals()" in notebook.cells[4].source
    for badge in ("colab.research.google.com/github", "github.com"):
        assert re.search(rf"\(https://{badge}/\S+/{path.name}\)", notebook.cells[0].source)


def test_the_table_of_parameters_is_that_of_the_notebooks():
    used_by = defaultdict(list)
    for path in NOTEBOOKS:
        for name, parameter in papermill.inspect_notebook(str(path)).items():
            used_by[name, parameter["help"]].append(path.stem[:2])
    rows = [f"| `{name}` | {', '.join(nbs)} | {means} |" for (name, means), nbs in used_by.items()]
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if re.match(r"\| `\w+` \| (all|\d\d)", line)]
    assert table == [row.replace(f"| {EVERY} |", "| all |") for row in rows]


def test_every_notebook_runs_clean_under_papermill(demo_run):
    for path in NOTEBOOKS:
        check_clean(demo_run.runs / path.name)
        page = (demo_run.runs / path.with_suffix(".html").name).read_text(encoding="utf-8")
        assert "<img" in page
        assert "ingesting:" not in page  # the progress of what is done


def test_auto_without_network_runs_the_demo_and_says_so(demo_run):
    executed = (demo_run.runs / "01_setup.ipynb").read_text(encoding="utf-8")
    assert "This is the demo." in executed
    prepared = json.loads((demo_run.data / "prepared.json").read_text(encoding="utf-8"))
    assert prepared == {"profile": "demo"}


def test_the_run_ends_with_the_hits_and_where_to_look(demo_run):
    hits = re.findall(r"^ +\d+  0\.\d+  (.+)/.+\.jpg", demo_run.printed, re.MULTILINE)
    assert hits == ["red star"] * 10
    assert "a red star: 10 images in" in demo_run.printed
    assert re.search(r"^Open .+/runs/03_search.html in a browser", demo_run.printed, re.MULTILINE)


def test_the_executed_notebooks_hold_their_pictures(demo_run):
    shown = {path.stem: list(outputs(demo_run.runs / path.name)) for path in NOTEBOOKS}
    grids = [o.data["text/html"] for o in shown["03_search"] if "text/html" in o.get("data", {})]
    assert max(html.count("<img ") for html in grids) == 10
    figures = [o for o in shown["04_visualization"] if "image/png" in o.get("data", {})]
    assert len(figures) == 2


def test_the_second_ingestion_of_02_encodes_nothing(demo_run):
    shown = [o.get("data", {}) for o in outputs(demo_run.runs / "02_ingestion.ipynb")]
    reports = [data["text/html"] for data in shown if "unchanged" in data.get("text/html", "")]
    counts = [re.findall(r"<td>([\d.]+)</td>", report)[:4] for report in reports]
    found_inserted_updated_unchanged = [["1000", "1000", "0", "0"], ["1000", "0", "0", "1000"]]
    assert counts == found_inserted_updated_unchanged


def test_06_is_a_report_with_an_interval_for_every_figure(demo_run):
    page = (demo_run.runs / "06_evaluation.html").read_text(encoding="utf-8")
    for words in ("texts to images, class folders: 100 queries, a pool of 1,000", "R-precision"):
        assert words in page
    intervals = re.findall(r"<td>(-?\d\.\d{3} to \d\.\d{3})</td>", page)
    assert len(intervals) >= 9 + 1 + 4 + 3  # evaluation, zero-shot, comparisons
    tables = [o.data for o in outputs(demo_run.runs / "06_evaluation.ipynb") if "data" in o]
    pictures = "".join(data.get("text/html", "") for data in tables).split("<figure")[1:]
    assert len(pictures) >= 20
    assert all(re.search("<figcaption[^>]*><bdi>[^<]", picture) for picture in pictures)


def test_07_says_where_matches_begin_and_search_uses_it(demo_run):
    page = (demo_run.runs / "07_no_match.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<td>(-?\d\.\d{3} to \d\.\d{3})</td>", page)) == 5
    executed = (demo_run.runs / "07_no_match.ipynb").read_text(encoding="utf-8")
    printed = re.search(r"matches begin at a margin of +(\d\.\d+)", executed)[1]
    threshold = f"{float(printed):.1f}"
    assert re.search(rf"a zebra on a train: .*Nothing here .*begin at {threshold}", executed)


def test_a_token_in_the_environment_reaches_no_file(demo_run):
    for path in [*demo_run.runs.iterdir(), *demo_run.data.rglob("*.json")]:
        assert "geheim-token" not in path.read_text(encoding="utf-8")


@pytest.fixture
def panel(demo_run, monkeypatch):
    """A search panel on the collection that the notebooks filled."""
    for name, value in environment(demo_run.data, IMAGE_SEARCH_PROFILE="demo").items():
        monkeypatch.setenv(name, value)
    settings = Settings.resolve()
    encoder = ClipEncoder(settings.model_name)
    with ImageStore(settings.milvus_uri, settings.collection_name) as store:
        yield SearchPanel(encoder, store, limit=7)


def ask_for_everything(panel) -> None:
    images = list_images(panel.found.image_dir)
    panel.image = images[123]
    panel.labels = sorted({path.parent.name for path in images})[:40]
    panel.form.templates.value = True
    panel.query.value = 'a "red" star'


def ask_in_words(panel) -> None:
    panel.form.taken_to.value = "2021"
    panel.query.value = "a star or a heart, not red, not blue, since 2016"
    _, _, blue, *_ = panel.results.chips
    panel.asked = panel.asked.without(blue["id"])
    panel.button.click()
    assert panel.asked.literal == ("not blue",)


def run_cells(panel, words: str | None, /, **parameters) -> SearchResults:
    """Return what 03_search finds, in its cells for parameters and for hits."""
    notebook = nbformat.read(ROOT / "notebooks" / "03_search.ipynb", as_version=4)
    cells = [notebook.cells[tagged(notebook, tag)[0]].source for tag in ("parameters", "hits")]
    names = {"search": search, "Query": Query, "encoder": panel._encoder, "store": panel._store}
    exec(cells[0], names)
    names |= {"settings": Settings.resolve(query_text=words), "display": lambda *_: None}
    exec(cells[1], names | parameters, result := {})
    return result["results"]


@pytest.mark.parametrize("ask", [ask_for_everything, ask_in_words, lambda panel: None])
def test_panel_and_cell_give_the_same_hits(panel, ask):
    panel.form.unlike.value = "a yellow thing"
    ask(panel)
    names = {"search": search, "Query": Query, "AnyOf": AnyOf}
    names |= {"encoder": panel._encoder, "store": panel._store}
    assert eval(panel.found.code, names).hits == panel.found.hits
    found = run_cells(panel, panel.parameters["query_text"] or None, **panel.parameters)
    assert found.hits == panel.found.hits


def test_panel_and_papermill_give_the_same_hits(panel, demo_run, tmp_path):
    """What is found by hand can be run again."""
    panel.form.unlike.value = "a yellow thing"
    ask_for_everything(panel)
    ask_in_words(panel)
    table = panel.found.to_frame()
    path = ROOT / "notebooks" / "03_search.ipynb"
    own = panel.parameters | {"output_csv": str(tmp_path / "hits.csv")}
    papermill.execute_notebook(str(path), str(tmp_path / "again.ipynb"), own, progress_bar=False)
    by_papermill = pd.read_csv(tmp_path / "hits.csv", parse_dates=["taken"])
    assert len(table) == 7
    pd.testing.assert_frame_equal(by_papermill[table.columns], table, atol=1e-4, check_dtype=False)


def test_the_parameters_of_dates_choose_and_sort(panel):
    dates = {"taken_from": "2018", "taken_to": "2021-06", "sort_by": "taken"}
    found = run_cells(panel, "a red star", **dates)
    days = [str(hit.taken.date()) for hit in found]
    assert days == sorted(days, reverse=True)
    assert all("2018" <= day < "2021-07" for day in days)
    assert all(hit.margin >= found.threshold for hit in found)
    drawn = pd.read_csv(found.image_dir / "captions.csv").query("label == 'red star'").taken
    assert {day for day in drawn if "2018" <= day < "2021-07"} <= set(days)


@pytest.mark.parametrize(
    ("literal", "title"),
    [
        (None, "a star, unlike red + blue"),
        (["not red"], "a star, not red, unlike blue"),
        (["all"], "a star, not red, not blue, since 2010"),
    ],
)
def test_a_parameter_turns_it_off_that_words_are_read(panel, literal, title):
    words = "a star, not red, not blue, since 2010"
    found = run_cells(panel, words, literal=literal)
    assert found.question.title == title
    assert ("where" in found.options) == (literal != ["all"])


@pytest.fixture(scope="module")
def milvus(request, tmp_path_factory) -> str:
    """The address of a server or, where none can run, of another file than papermill's."""
    try:
        return request.getfixturevalue("server").address
    except pytest.skip.Exception:
        return str(tmp_path_factory.mktemp("nbval") / "milvus.db")


@pytest.fixture(scope="module")
def nbval_run(milvus, demo_data, tmp_path_factory) -> Path:
    """Every notebook, run under nbval, on a server where one can run; return 03's hits as CSV."""
    folder = tmp_path_factory.mktemp("nbval run")
    hits = folder / "hits.csv"
    for path in NOTEBOOKS:
        notebook = load_notebook_node(str(path))
        own = {"output_csv": str(hits)} if path.stem == "03_search" else {}
        nbformat.write(parameterize_notebook(notebook, own), folder / path.name)
    own = {"IMAGE_SEARCH_PROFILE": "demo", "MILVUS_URI": milvus, "MILVUS_TOKEN": TOKEN}
    env = environment(demo_data(folder / "data"), **own)
    arguments = ["--nbval-lax", "-p", "no:cacheprovider", "-W", "ignore", "-c", os.devnull]
    arguments += ["-p", "no:randomly"]  # where it is installed: the order of cells is no chance
    arguments += ["--nbval-cell-timeout", "600", *sorted(folder.glob("*.ipynb"))]
    done = python("-m", "pytest", *arguments, env=env, cwd=folder)
    assert done.returncode == 0, done.stdout[-5000:]
    notebooks = (nbformat.read(path, as_version=4) for path in folder.glob("*.ipynb"))
    assert f"{sum(len(code(notebook)) for notebook in notebooks)} passed" in done.stdout
    return hits


def test_every_notebook_runs_under_nbval_and_finds_what_papermill_finds(nbval_run, demo_run):
    """Papermill's run works on a local file and nbval's on a server, where one can run."""
    with ImageStore(demo_run.data / "milvus.db", "demo_collection") as store:
        ours = search("a red star", ClipEncoder("tiny"), store).to_frame()
    theirs = pd.read_csv(nbval_run, parse_dates=["taken"])
    assert len(ours) == 10
    pd.testing.assert_frame_equal(ours, theirs[ours.columns], atol=1e-4, check_dtype=False)
