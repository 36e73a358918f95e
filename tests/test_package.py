"""What holds for the project as a whole: its parts agree, and imports stay light."""

import ast
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import helpers

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FLOORS = [
    {"paths", "vectors", "images", "drawings", "batches", "acceleration", "filters"},
    {"connection", "checkpoints", "server"},
    {"settings", "datasets", "encoder", "gallery", "store"},
    {"preparation", "ingestion", "queries", "visualization"},
    {"margins", "results"},
    {"retrieval"},
    {"panel"},
    {"__main__"},
]


def names_in(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", line).group().lower() for line in requirements}


def test_importing_helpers_brings_no_heavy_library_along():
    script = (
        "import sys, helpers; "
        "print([m for m in ('torch', 'pymilvus', 'matplotlib', 'clip') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")


def test_every_public_name_is_there_and_no_module_has_its_name():
    modules = {path.stem for path in (ROOT / "helpers").glob("*.py")}
    assert not modules & set(helpers.__all__)
    for name in helpers.__all__:
        assert getattr(helpers, name).__doc__, name
    assert {"Settings", "ClipEncoder", "ImageStore", "Query", "SearchPanel"} <= set(dir(helpers))


def test_importing_with_a_reader_at_the_screen_prints_no_warning():
    script = "from helpers import *; from helpers import ClipEncoder; ClipEncoder('tiny')"
    command = [sys.executable, "-W", "default", "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in answer.stderr.splitlines() if "ResourceWarning" not in line]
    assert answer.returncode == 0, answer.stderr
    assert not [line for line in lines if "Warning" in line]


def test_no_module_imports_one_on_its_own_floor_or_above():
    modules = {path.stem for path in (ROOT / "helpers").glob("*.py")} - {"__init__"}
    assert set().union(*FLOORS) == modules
    for height, floor in enumerate(FLOORS):
        below = set().union(*FLOORS[:height])
        for module in floor:
            tree = ast.parse((ROOT / "helpers" / f"{module}.py").read_text(encoding="utf-8"))
            imported = {
                node.module
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.level == 1
            }
            assert imported <= below, f"{module} imports {imported - below}"


def test_every_dependency_has_a_bound_a_reason_and_a_tested_version():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = PYPROJECT["project"]["optional-dependencies"]
    listed = [*PYPROJECT["project"]["dependencies"], *itertools.chain(*extras.values())]
    others = [line for line in listed if not line.startswith("text-to-image-search")]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {line.split("==")[0].lower() for line in constraints if "==" in line}
    for line in others:
        assert re.search(r"[<>=]", line.split(";")[0]), f"{line} has no bound"
        assert re.search(rf'"{re.escape(line)}",\s+# \w', text), f"{line} has no reason"
    assert names_in(others) <= tested


def test_constraints_hold_exact_versions_and_no_addresses():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+!-]+", line), line


def test_conda_goes_through_the_one_list_of_dependencies():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = re.findall(r"^ +- (.+)$", text, re.MULTILINE)
    python = PYPROJECT["project"]["requires-python"]
    expected = ["conda-forge", f"python{python}", "pip", "pip:", "-c constraints.txt", "-e .[dev]"]
    assert conda == expected


def test_links_of_the_pages_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "data" / "README.md"):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
