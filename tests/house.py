"""The size of the house, measured: `python -m tests.house`. What it may be is in `test_house`.

Code lines are those of `helpers` that are neither blank, comment nor docstring, without the demo's.
"""

import ast
import io
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRANCES = ("helpers.ingestion", "helpers.retrieval", "helpers.views.panel")
LIGHT = ("helpers.ingestion", "helpers.retrieval")
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
_SILENT |= {tokenize.ENDMARKER}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Return the modules of the package by their names."""
    paths = sorted((root / "helpers").rglob("*.py"))
    return {_name(path.relative_to(root)): path for path in paths}


def code_lines(path: Path) -> int:
    """Return how many lines are neither blank, comment nor docstring."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def sizes(root: Path = ROOT) -> dict[str, int]:
    """Return the code lines of each module that holds code, without the demo's."""
    lines = {name: code_lines(path) for name, path in modules(root).items()}
    return {name: n for name, n in lines.items() if n and not name.startswith("helpers.demo")}


def imported(name: str, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that one imports, anywhere in it."""
    path = known[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found & set(known)


def closure(name: str, root: Path = ROOT) -> set[str]:
    """Return a module and all that it leads to, as far as they hold code."""
    known, reached, waiting = modules(root), set[str](), [name]
    while waiting:
        reached.add(one := waiting.pop())
        waiting += imported(one, known) - reached
    return {name for name in reached if code_lines(known[name])}


def called(act: Callable[[], object]) -> list[str]:
    """Return the modules whose functions are called meanwhile, in the order of their first."""
    names = {str(path): name for name, path in modules().items()}
    entered: dict[str, None] = {}

    def note(frame, event: str, _argument: object) -> None:
        if event == "call" and (name := names.get(frame.f_code.co_filename)):
            entered[name] = None

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return list(entered)


def importing(*names: str) -> tuple[float, set[str]]:
    """Return the CPU seconds that importing takes a new process, and all it loads."""
    script = f"import sys, time, {', '.join(names)}; print(time.process_time(), *sys.modules)"
    command = [sys.executable, "-c", script]
    seconds, *loaded = subprocess.check_output(command, cwd=ROOT, text=True).split()
    return float(seconds), set(loaded)


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _search_once() -> list[str]:
    from helpers import ClipEncoder, ImageStore, draw_demo_images, ingest, search

    with tempfile.TemporaryDirectory() as folder:
        draw_demo_images(Path(folder) / "images", n=50)
        encoder = ClipEncoder("tiny")
        with ImageStore(Path(folder) / "milvus.db") as store:
            ingest(Path(folder) / "images", encoder, store, progress=False)
            search("a red star", encoder, store)
            return called(lambda: search("a red star", encoder, store))


def main() -> None:
    """Print all of it."""
    lines = sizes()
    for name, number in lines.items():
        print(f"{number:6,}  {name}")
    print(f"{sum(lines.values()):6,}  code lines in {len(lines)} modules")
    for name in ENTRANCES:
        print(f"{len(closure(name)):6}  modules that {name} leads to")
    way = _search_once()
    print(f"{len(way):6}  modules on the way of a warm search: {', '.join(way)}")
    seconds, loaded = importing(*LIGHT)
    heavy = ", ".join(sorted({"torch", "clip", "pandas", "pymilvus"} & loaded))
    print(f"{seconds:6.1f}  CPU seconds to import {' and '.join(LIGHT)}, with {heavy}")


if __name__ == "__main__":
    main()
