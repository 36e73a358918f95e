"""`make address`: the repository's address stands in one place, and one command changes it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .support.processes import ROOT

REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "urls"
]["Repository"]
OWN = REPOSITORY.removeprefix("https://github.com/")
PAGES = ("*.md", "notebooks/*.ipynb")
NEW = "https://github.com/some-one/Their.search"


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")[:-1]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of the tracked files."""
    for path in tracked():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return tmp_path


def address(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, project / ".github" / "address.py", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


def contents(project: Path) -> dict[Path, bytes]:
    return {p.relative_to(project): p.read_bytes() for p in project.rglob("*") if p.is_file()}


def named(text: str) -> set[str]:
    """List what a text calls the project's repository: any owner with the project's name."""
    names = "|".join({re.escape(OWN.split("/")[1]), "text-to-image-search"})
    return set(re.findall(rf"github(?:\.com)?/([\w-]+/(?:{names}))(?![\w-])", text))


def test_the_new_address_stands_wherever_the_old_one_stood(project):
    (project / "NOTES.md").write_bytes(f"{REPOSITORY}.git\r\n{OWN}-2, not-{OWN}\n{OWN}.".encode())
    before = contents(project)
    done = address(project, NEW)
    assert (done.returncode, done.stderr) == (0, "")
    after, new = contents(project), NEW.removeprefix("https://github.com/")
    assert after.pop(Path("NOTES.md")) == f"{NEW}.git\r\n{OWN}-2, not-{OWN}\n{new}.".encode()
    for path, text in after.items():
        assert OWN.encode() not in text, path
        assert text == before[path].replace(OWN.encode(), new.encode()), path
    changed = {str(path) for path in after if after[path] != before[path]}
    assert {"pyproject.toml", *done.stdout.splitlines()} == changed | {"NOTES.md"}


def test_again_it_changes_nothing_and_back_it_undoes_everything(project):
    before = contents(project)
    address(project, NEW)
    once = contents(project)
    assert (address(project, f"{NEW}.git").stdout, contents(project)) == ("", once)
    assert address(project, REPOSITORY).returncode == 0
    assert contents(project) == before


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [""],
        ["owner/name"],
        ["https://github.com/owner"],
        ["http://github.com/owner/name"],
        ["https://github.com/owner/name/tree/main"],
        ["https://github.com/owner/na me"],
        ["https://github.com/owner/.."],
        [NEW, NEW],
    ],
)
def test_a_wrong_address_is_one_line_and_changes_nothing(project, wrong):
    before = contents(project)
    done = address(project, *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("REPOSITORY is to be https://github.com/owner/name, .*\n", done.stderr)
    assert contents(project) == before


def test_every_page_has_the_address_of_pyproject():
    for path in [path for pattern in PAGES for path in ROOT.glob(pattern)]:
        others = named(path.read_text(encoding="utf-8")) - {OWN}
        assert not others, f"{path.name} names {others}: make address REPOSITORY={REPOSITORY}"


@pytest.mark.parametrize(
    "form",
    [
        "git+https://github.com/{}",
        "https://colab.research.google.com/github/{}/blob/main/notebooks/01_setup.ipynb",
        "[issues](https://github.com/{}/issues)",
        "git clone https://github.com/{}.git",
    ],
)
def test_a_page_with_another_address_is_found(form):
    for other in ("another/text-to-image-search", OWN):
        assert named(form.format(other)) == {other}
    assert named("https://github.com/openai/CLIP") == set()
