"""What holds for the project as a whole: its parts agree, and imports stay light."""

import ast
import importlib.metadata
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import helpers

from .support.processes import ROOT, make

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOUSE = ROOT / "helpers"
FLOORS = {  # from the drawing in the package's description
    part: int(floor)
    for floor, parts in re.findall(r"^ +(\d)  (\w+(?:, \w+)*)  ", helpers.__doc__, re.MULTILINE)
    for part in parts.split(", ")
}


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
    assert not set(FLOORS) & set(helpers.__all__)
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


def imports(path: Path) -> set[str]:
    """List what a module imports, anywhere in it, as full names."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


MODULES = sorted(path for path in HOUSE.rglob("*.py") if path != HOUSE / "__init__.py")


def test_every_part_imports_only_what_stands_below_it():
    assert {part_of(path) for path in MODULES} == set(FLOORS)
    for path in MODULES:
        own = part_of(path)
        parts = {name.split(".")[1] for name in imports(path) if name.startswith("helpers.")} - {
            own
        }
        above = {part for part in parts if FLOORS[part] >= FLOORS[own]}
        assert not above, f"{path.relative_to(ROOT)} imports {above}"


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("torch", "models"),
        ("clip", "models"),
        ("torchvision", "models"),
        ("pymilvus", "collection"),
    ],
)
def test_a_library_is_known_in_one_room_only(library, room):
    users = {part_of(p) for p in MODULES if library in {n.split(".")[0] for n in imports(p)}}
    assert users == {room}


def test_no_message_recommends_to_delete_a_collection():
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for path in MODULES:
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        texts -= {ast.get_docstring(n, clean=False) for n in nodes if isinstance(n, documented)}
        advice = {text for text in texts if re.search(r"recreate|drop_collection|\bdrop\(", text)}
        assert not advice, path  # whoever reads it may not have named the folder or the model


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


@cache
def brought(extra: str) -> set[str]:
    """List what is installed with an extra of pyproject.toml, down to the last library."""
    project = PYPROJECT["project"]
    parts = project["optional-dependencies"]
    left = [(project["name"], ""), (project["name"], extra)]
    found = set()
    while left:
        if (asked := left.pop()) in found:
            continue
        found.add(asked)
        name, part = asked
        if name == project["name"]:
            lines = parts[part] if part else project["dependencies"]
        else:
            lines = importlib.metadata.requires(name) or []
        for other in map(Requirement, lines):
            if not other.marker or other.marker.evaluate({"extra": part}):
                left += [(canonicalize_name(other.name), each) for each in ("", *other.extras)]
    return {name for name, _ in found}


libraries = cache(importlib.metadata.packages_distributions)


def distributions(path: Path) -> set[str]:
    """List the libraries that a module or a notebook imports, anywhere in it."""
    if path.suffix == ".py":
        found = imports(path)
    else:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        lines = [line for c in cells if c["cell_type"] == "code" for line in c["source"]]
        found = set(re.findall(r"^ *(?:import|from) ([\w.]+)", "".join(lines), re.MULTILINE))
    roots = {name.split(".")[0] for name in found} - {"helpers", *sys.stdlib_module_names}
    return {canonicalize_name(libraries()[root][0]) for root in roots}


def test_what_a_person_runs_imports_only_what_running_installs():
    """Where it is imported late as well: here are all of them, whatever was asked for."""
    installed = brought("run")
    notebooks = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks").glob("*.py")]
    assert len(notebooks) > 1
    for path in [*MODULES, *notebooks]:
        assert not distributions(path) - installed, path.name
    assert {"torch", "papermill", "voila", "open-clip-torch", "rawpy", "ipykernel"} < installed
    assert not {"pytest", "playwright", "mypy", "milvus"} & installed


def test_a_library_that_is_not_listed_is_found(tmp_path):
    (tmp_path / "1.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "code", "source": ["import os\n", "import pytest"]}]})
    )
    assert distributions(tmp_path / "1.ipynb") == {"pytest"}
    assert "pytest" in brought("dev") - brought("run")


def test_every_command_of_make_installs_what_it_runs():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^(\w+): \.venv/(\w+) +##.*\n((?:\t.+\n)*)", text, re.MULTILINE)
    assert {command for command, extra, _ in rules if extra == "run"} == {"run", "lab", "app"}
    assert {("server", "server"), ("test", "dev"), ("setup", "dev")} < {rule[:2] for rule in rules}
    for command, extra, lines in rules:
        started = set(re.findall(r"\$\(BIN\)/(?:python -m )?([\w.]+)", lines))
        others = {name for name in started if not name.startswith(("helpers", "tests."))}
        assert others <= brought(extra), command


@pytest.mark.skipif(os.name != "posix" or not shutil.which("make"), reason="no make here")
def test_what_is_installed_is_not_installed_again_until_it_changes(tmp_path):
    """By a stand-in for Python, which writes down what it is asked to install."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "pip").touch()
    script = '#!/bin/sh\ncase "$*" in *pip*) eval "echo \\$$#" >> installed; esac\n'
    (folder / "python").write_text(script)
    (folder / "python").chmod(0o755)

    def installed(*commands: str) -> list[str]:
        (tmp_path / "installed").write_text("")
        for command in commands:
            make("-C", str(tmp_path), command)
        return (tmp_path / "installed").read_text().split()

    def change() -> None:
        for stamp in folder.parent.glob("[!b]*"):
            os.utime(stamp, (0, 0))  # older than pyproject.toml

    assert installed("run", "run", "app", "lab") == [".[run]"]
    assert installed("server", "setup", "setup") == [".[server]", ".[dev]"]
    assert installed("run", "server", "app") == []
    change()
    assert installed("run", "run", "setup", "server") == [".[run]", ".[dev]"]
    change()
    assert installed("setup", "run", "server") == [".[dev]"]


def test_what_is_installed_for_tests_holds_what_is_for_running_and_for_a_server():
    assert brought("run") | brought("server") <= brought("dev")
    others = set(PYPROJECT["project"]["optional-dependencies"]) - {"run", "server", "dev"}
    assert others == {"lab", "app", "raw", "jxl", "models"}
    assert all(brought(extra) <= brought("run") for extra in others)


def test_constraints_hold_exact_versions_and_no_addresses():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.+!-]+", line), line


def test_every_address_of_the_project_begins_with_that_of_the_repository():
    urls = PYPROJECT["project"]["urls"]
    assert all(url.startswith(urls["Repository"]) for url in urls.values())


def test_the_classifiers_name_the_versions_of_python_that_are_allowed():
    project = PYPROJECT["project"]
    first, end = map(int, re.findall(r"3\.(\d+)", project["requires-python"]))
    named = [int(v) for v in re.findall(r":: 3\.(\d+)", "\n".join(project["classifiers"]))]
    assert named == list(range(first, end))


@pytest.mark.skipif(os.name != "posix" or not shutil.which("make"), reason="no make here")
def test_make_alone_prints_every_command_and_every_variable():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    printed = make()
    commands = re.search(r"^\.PHONY: (.+)", text, re.MULTILINE)[1].split()
    assert [line.split()[1] for line in printed.splitlines()] == commands
    variables = set(re.findall(r"^([A-Z]+) \?=", text, re.MULTILINE))
    assert variables == {name for name in variables if f"{name}=" in printed}


def test_conda_goes_through_the_one_list_of_dependencies():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = re.findall(r"^ +- (.+)$", text, re.MULTILINE)
    python = PYPROJECT["project"]["requires-python"]
    expected = ["conda-forge", f"python{python}", "pip", "pip:", "-c constraints.txt", "-e .[run]"]
    assert conda == expected


def test_the_readme_can_be_read_at_one_go():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_the_tree_names_every_module_and_notebook():
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = page.split("## Layout")[1].split("## ")[0]
    modules = [path for path in (ROOT / "helpers").rglob("*.py") if path.name != "__init__.py"]
    for path in (*modules, *(ROOT / "notebooks").glob("*.py")):
        assert path.name in tree, path.name
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert path.stem in tree, path.stem
    named = set(re.findall(r"[\w]+\.py\b", tree))
    assert named == {path.name for path in modules} | {"app.py"}


def test_every_action_is_pinned_to_a_commit_and_says_its_version():
    workflows = (ROOT / ".github" / "workflows").glob("*.yml")
    text = "\n".join(path.read_text(encoding="utf-8") for path in workflows)
    used = re.findall(r"uses: (.+)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
