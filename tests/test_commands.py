"""Every command that README and CONTRIBUTING show, as it stands, in the order of the pages.

They run in one clone, offline, one after the other: what one leaves behind, the next one finds.
What needs a registry, takes minutes, would test the tests or differs from another one by a word is
not run; what it names exists.
"""

import os
import re
import shlex
import shutil
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import papermill
import pytest

from .support import browser
from .support.commands import Clone, commands
from .support.notebooks import NOTEBOOKS
from .support.processes import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", "docs/parameters.md", "docs/models.md"]
SHOWN = {page: commands((ROOT / page).read_text(encoding="utf-8")) for page in PAGES}
IN_PLACE = {  # there is no network; and of a second run, only 02 is another one
    "-p image_dir ~/Photos": "-p image_dir ~/Photos -p model_name tiny",
    "PARAMS='-p collection_name photos'": "PARAMS='02_ingestion -p collection_name photos'",
}
JUDGED = "query,filepath,relevant\na star,IMG_0000.jpg,1\nred,IMG_0001.jpg,1\nred,IMG_0002.jpg,0\n"
ADDRESS = re.compile(r"http://\S+")

WHOLE = r"make run( PARAMS='-p .*')?"
RUN = r"make|papermill notebooks/03_search.*|make run PARAMS='0((?!output_csv).)*"
RUN += r"|python -m helpers 0.*|python -m pytest tests/test_filters.py -k \w+"
RUN += r"|\. \.venv/bin/activate|jupyter nbconvert .*"
SERVE = r"make (lab|app|server)( [A-Z]+=\w+)?"
EXIST = r"make (test|setup|benchmark|models|latency|evaluation|feedback|address)\b.*"
EXIST += r"|make run (PROFILE=demo|PARAMS=)|make server PARAMS=.*"
EXIST += r"|make run PARAMS='03_search .*output_csv.*|python -m helpers(\.app .*)?|python data/.*"
EXIST += r"|(\w+=1 )?python -m pytest tests/test_[^f].*"
REGISTRY = r"pip install.*|\.venv/bin/pip install.*|conda env create.*|(apt|playwright) install .*"
REGISTRY += r"|python3 -m venv \.venv"

pytestmark = pytest.mark.skipif(
    not shutil.which("make") or not Path(sys.prefix, "dev").exists(),
    reason="the pages' commands need make, and what `make test` installs",
)


def kinds(command: str) -> list[str]:
    ways = {"whole": WHOLE, "run": RUN, "serve": SERVE, "exist": EXIST, "registry": REGISTRY}
    return [kind for kind, way in ways.items() if re.fullmatch(way, command)]


@pytest.mark.parametrize("page", PAGES)
def test_it_is_known_how_to_try_each_command(page):
    """Whoever shows another one says above how it is tried: run, if that is possible."""
    assert SHOWN[page]
    assert {command: kinds(command) for command in SHOWN[page] if len(kinds(command)) != 1} == {}


def test_at_most_three_of_them_are_whole_runs():
    shown = dict.fromkeys(command for page in PAGES for command in SHOWN[page])
    assert 1 < sum(kinds(command) == ["whole"] for command in shown) <= 3


@pytest.fixture(scope="module")
def printed(clone: Clone, demo_run) -> dict[str, str]:
    """What each command of the pages printed."""
    (clone.folder / "judged.csv").write_text(JUDGED)
    done = {"make run": demo_run.printed}
    for command in (command for page in PAGES for command in SHOWN[page]):
        (kind,) = kinds(command)
        typed = command
        for name, other in IN_PLACE.items():
            typed = typed.replace(name, other)
        if command in done or kind in ("exist", "registry"):
            continue
        if kind == "serve":
            if "server" in command and not can_serve():
                continue
            words, status = clone.serve(typed, browser.wait_until)
            done[command] = f"{words}\n{status}"
        else:
            done[command] = clone.run(typed)
    return done


def can_serve() -> bool:
    """Tell whether a Milvus server can run here; in CI, where it has to, it is not asked."""
    try:
        import milvus  # noqa: F401
    except ImportError:
        return bool(os.environ.get("REQUIRE_SERVER"))
    return True


def test_the_demo_says_that_it_is_the_demo_and_what_comes_next(printed):
    words = printed["make run"]
    assert words.count("these are not CLIP's answers") == 2
    assert "make app COLLECTION=demo_collection" in words
    assert len(re.findall(r"^ +\d+  0\.\d+  red star/.+\.jpg", words, re.MULTILINE)) == 10


def test_ones_own_flat_photos_are_ingested_once_and_known_by_name_from_then_on(printed, clone):
    own = [words for command, words in printed.items() if "-p collection_name photos" in command]
    assert len(own) >= 5
    first, again = own[:2]
    report = re.compile(r"^ found .*\n +(\d+) +(\d+) +\d+ +(\d+) ", re.MULTILINE)
    assert report.search(first).groups() == ("31", "31", "0")
    assert report.search(again).groups() == ("31", "0", "31")
    for words in own:
        named = f"Collection photos: images of {clone.home / 'Photos'}, by the model tiny"
        assert named in words or words.startswith("Input Notebook")  # papermill's own
    assert "a beach: 10 images" in first
    for name in ("06_evaluation", "07_no_match"):
        assert f"{name} ends early: Nothing says what is right" in first
    assert "Traceback" not in "".join(own)


def test_what_is_served_answers(printed):
    served = {command: words for command, words in printed.items() if kinds(command) == ["serve"]}
    assert {command.split()[1] for command in served} >= {"lab", "app"}
    for command, words in served.items():
        assert words.endswith("\n200"), (command, words)
        assert ADDRESS.search(words)


def test_what_is_not_run_exists(clone):
    for command in (command for page in PAGES for command in SHOWN[page]):
        if kinds(command) != ["exist"]:
            continue
        steps = (
            clone.run(f"make --dry-run {command[5:]}") if command.startswith("make") else command
        )
        for module in re.findall(r"python -m ([\w.]+)", steps):
            file = ROOT / (module.replace(".", "/") + ".py")
            assert file.is_file() or module in ("pytest", "mypy", "helpers"), command
        for file in re.findall(r"\b(?:tests|data)/\S+\.py", steps):
            assert (ROOT / file).is_file(), command
            for word in re.findall(r" -k (\w+)", steps):
                assert word in (ROOT / file).read_text(encoding="utf-8"), command
        check_that_the_notebooks_take(shlex.split(steps))
    assert clone.run("make --dry-run run").strip() == ".venv/bin/python -m helpers"
    for words, options in {
        "run PROFILE=demo": "-m helpers --profile demo",
        "run PARAMS='06_evaluation -p judged a.csv'": "-m helpers 06_evaluation -p judged a.csv",
        "server PARAMS='--port 19530'": "-m tests.support.server --port 19530",
    }.items():
        started = clone.run(f"make --dry-run {words}").split()
        assert started == [".venv/bin/python", *options.split()]


def check_that_the_notebooks_take(words: list[str]) -> None:
    """Refuse parameters that the notebooks of a command, or all of them, do not have."""
    named = [path for path in NOTEBOOKS if path.stem in words] or NOTEBOOKS
    known = set().union(*(papermill.inspect_notebook(str(path)) for path in named))
    assert {after for word, after in pairwise(words) if word == "-p"} <= known, words


def test_what_comes_from_a_registry_is_named_rightly():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for command in (command for page in PAGES for command in SHOWN[page]):
        if kinds(command) == ["registry"]:
            words = shlex.split(command)
            for extras in re.findall(r"\.\[([\w,]+)\]", command):
                assert {*extras.split(",")} <= {*project["optional-dependencies"]}, command
            for file in (word for word in words if re.fullmatch(r"[\w-]+\.(txt|yml)\)?", word)):
                assert (ROOT / file.rstrip(")")).is_file(), command
