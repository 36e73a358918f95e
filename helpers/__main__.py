"""Run the notebooks in order: `python -m helpers --profile demo -p query_text "a red car"`.

Papermill runs each in a fresh kernel, in the caller's folder. The executed copies, and pages for
any browser, go to `runs/`. A parameter goes to every notebook that has it.
"""

import argparse
import io
import logging
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .settings import PROFILES, as_text, project_root, require, without_password

# What notebooks are called, or were in an earlier version: files of these names are a run's.
_EVER = ["01_setup", "02_ingestion", "03_search", "04_visualization", "05_evaluation"]
_EVER += ["06_evaluation", "07_no_match"]
_NOW = {"05_evaluation": ["06_evaluation", "07_no_match"]}  # what became of an earlier name
_LINK = re.compile(r"""(<a [^<>]*?href=["'])([^"':?#]+)(?=["'#])""")


def main() -> int:
    """Run the notebooks; return 0, 1 if one fails, 2 if they cannot start, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever letters the terminal knows
            stream.reconfigure(errors="replace")
    try:
        return _main()
    except KeyboardInterrupt:
        print("\nInterrupted. What was written is kept.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # as by `| head`; at its end Python would complain once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The notebooks could not be run: {error}. See also --output", file=sys.stderr)
        return 2


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    if os.path.expanduser("~") == "~":  # Jupyter and clip keep files there
        parser.exit(2, "This user has no home directory: set the variable HOME to one\n")
    if not (root := project_root()):
        parser.exit(2, "The notebooks are not here: run this in a clone of the project\n")
    folder = root / "notebooks"
    names = sorted(path.stem for path in folder.glob("[0-9]*.ipynb"))
    _add_options(parser, names, root / "runs")
    words = sys.argv[1:]
    parameters = _taken_from(words)
    options = parser.parse_args(words)
    require("papermill", "nbconvert", "ipykernel")
    asked = _named_now(options.notebooks)
    for name in set(asked) - set(names):
        parser.error(f"no notebook {name!r}; there are {', '.join(names)}")
    notebooks = [folder / f"{name}.ipynb" for name in asked or names]
    parameters |= {"profile": options.profile} if options.profile else {}
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    known = {path: set(papermill.inspect_notebook(_literal(path))) for path in notebooks}
    of_any = set().union(*known.values())
    for name in sorted(set(parameters) - of_any):
        parser.error(f"unknown parameter {name!r}; known: {', '.join(sorted(of_any))}")

    options.output.mkdir(parents=True, exist_ok=True)
    if options.output.samefile(folder):
        parser.error("--output is the folder of the notebooks, which would be overwritten")
    # What an earlier run wrote of these notebooks, and no other file.
    for name in {*options.notebooks, *asked} or {*_EVER, *names}:
        for ending in (".ipynb", ".html"):
            (options.output / f"{name}{ending}").unlink(missing_ok=True)
    outputs = [options.output / notebook.name for notebook in notebooks]
    try:
        for notebook, output in zip(notebooks, outputs, strict=True):
            own = {name: value for name, value in parameters.items() if name in known[notebook]}
            if not _run(notebook, output, own, options.timeout, bool(asked)):
                return 1
            if output is outputs[0]:
                print(_told([output], "settings"), flush=True)
    finally:  # when it is known to which pages they can lead; also of one that failed
        for executed in filter(Path.exists, outputs):
            _write_page(executed, folder)
    settings = _told(outputs[:1], "settings")
    print(_told(outputs, "report", "hits"), settings, sep="")
    print(_what_next(outputs, settings, as_text("milvus_uri", parameters.get("milvus_uri"))))
    return 0


def _add_options(parser: argparse.ArgumentParser, names: list[str], runs: Path) -> None:
    add = parser.add_argument
    add("notebooks", nargs="*", metavar="NAME", help=f"any of {', '.join(names)}; default: all")
    add("--profile", choices=["auto", *PROFILES])
    example = "a notebook's parameter, as in: -p query_text 'a dog' -p labels '2024, 2025'"
    add("-p", nargs=2, metavar=("NAME", "VALUE"), help=example)
    add("--output", type=Path, default=runs)
    add("--timeout", type=int, default=3600, help="seconds for one cell")


def _taken_from(words: list[str]) -> dict[str, str]:
    """Take each -p with its name and value, or argparse would take "-dog" for an option.

    The values stay as they were typed: each notebook reads them by their types.
    """
    parameters = {}
    while "-p" in words[:-2]:
        at = words.index("-p")
        parameters[words[at + 1]] = os.fsencode(words[at + 2]).decode("utf-8", "replace")
        del words[at : at + 3]
    return parameters


def _named_now(asked: Sequence[str]) -> list[str]:
    """Return which notebooks are asked for, each once; say what an earlier name has become."""
    for name in filter(_NOW.get, asked):
        print(f"{name} is now {' and '.join(_NOW[name])}", flush=True)
    return list(dict.fromkeys(now for name in asked for now in _NOW.get(name, [name])))


def _run(notebook: Path, output: Path, parameters: dict, timeout: int, by_name: bool) -> bool:
    """Return whether a notebook ran to its end; if it did not, print which cell failed.

    One that was not asked for by name may find nothing to do.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    print(f"{notebook.stem}", flush=True)
    # Without the argument kernels warn about their sockets.
    kernel = {"execution_timeout": timeout, "extra_arguments": ["--log-level=ERROR"]}
    try:
        papermill.execute_notebook(_literal(notebook), _literal(output), parameters, **kernel)
    except papermill.PapermillExecutionError as error:
        if error.ename == "NothingJudgedError" and not by_name:
            _end_with(error, output)
            why = error.evalue.partition("\n")[0]
            print(f"\n{notebook.stem} ends early: {why}. Its page says what to do", flush=True)
            return True
        failed = f"cell [{error.exec_count}]: {error.ename}: {error.evalue}"
    except (CellTimeoutError, DeadKernelError) as error:
        count = max(cell.get("execution_count") or 0 for cell in _read(output).cells)
        failed = f"cell [{count}]: {error}"
    else:
        return True
    print(f"\n{output.name} failed in {failed}\n\nThe executed copy is {output}", file=sys.stderr)
    return False


def _end_with(error: Any, executed: Path) -> None:
    """Let a notebook end at the cell that failed, with its message and no traceback."""
    import nbformat
    from papermill.execute import remove_error_markers

    notebook = remove_error_markers(nbformat.read(executed, as_version=4))
    notebook.cells = notebook.cells[: error.cell_index + 1]
    said = nbformat.v4.new_output("display_data", {"text/plain": error.evalue})
    notebook.cells[-1].outputs = [said]
    nbformat.write(notebook, executed)


def _literal(path: Path) -> str:
    """Return a path whose braces papermill does not fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _write_page(executed: Path, folder: Path) -> None:
    notebook = _read(executed)
    notebook.metadata.pop("widgets", None)  # show pictures, which need no kernel or network
    with warnings.catch_warnings(action="ignore"):
        from nbconvert import HTMLExporter

        page, _ = HTMLExporter().from_notebook_node(notebook)
    page = _LINK.sub(lambda found: found[1] + _led(found[2], executed.parent, folder), page)
    executed.with_suffix(".html").write_text(page, encoding="utf-8")


def _led(link: str, output: Path, folder: Path) -> str:
    """Lead a link to the page beside, else to the file that it names in the notebooks' folder."""
    here, there = output / unquote(link), folder / unquote(link)
    if link.endswith(".ipynb") and here.exists():
        return link.removesuffix("ipynb") + "html"
    return link if here.exists() or not there.exists() else there.resolve().as_uri()


def _is_progress(output: dict) -> bool:
    """Know a progress bar: a widget that shows nothing without its kernel."""
    data = output.get("data", {})
    return "application/vnd.jupyter.widget-view+json" in data and "text/html" not in data


def _told(executed: Iterable[Path], *tags: str) -> str:
    """Return the text output of the cells that have one of these tags.

    `settings` are what a notebook works with, `report` is an ingestion's, `hits` are a search's.
    """
    cells = [cell for path in executed for cell in _read(path).cells]
    cells = [cell for cell in cells if {*tags} & set(cell.metadata.get("tags", []))]
    results = [output for cell in cells for output in cell.outputs if "data" in output]
    return "".join(f"\n{output.data['text/plain']}\n" for output in results)


def _read(executed: Path) -> Any:
    """Return an executed notebook without its progress bars."""
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    return notebook


def _what_next(executed: Sequence[Path], settings: str, milvus_uri: str | None) -> str:
    """Return the page to open, and how to go on with the collection that the settings name."""
    page = next((path for path in executed if "search" in path.stem), executed[-1])
    words = f"\nOpen {page.with_suffix('.html')} in a browser."
    if named := re.search(r"^Collection (\w+):", settings, re.MULTILINE):
        at = f"MILVUS_URI={shlex.quote(without_password(milvus_uri))} " if milvus_uri else ""
        words += f"\nTo search on: {at}make app COLLECTION={named[1]}"
        words += f" (without make: {at}python -m helpers.app --collection {named[1]})"
    return words


if __name__ == "__main__":
    sys.exit(main())
