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

from .settings import project_root, require, without_password

_MARK = "="
_NOTHING_TO_DO = "NothingJudgedError"
# What notebooks are called, or were in an earlier version: files of these names are a run's.
_EVER = ("01_setup", "02_ingestion", "03_search", "04_visualization", "05_evaluation")
_LINK = re.compile(r"""(<a [^<>]*?href=["'])([^"':?#]+)(?=["'#])""")


def main() -> int:
    """Run the notebooks; return 0, or 1 if one fails, or 2 if they cannot be started."""
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
    try:
        Path.home()
    except RuntimeError:  # Jupyter and clip keep files there
        print("This user has no home directory: set the variable HOME to one", file=sys.stderr)
        return 2
    root = project_root()
    if root is None:
        print("The notebooks are not here: run this in a clone of the project", file=sys.stderr)
        return 2
    folder = root / "notebooks"
    names = sorted(path.stem for path in folder.glob("[0-9]*.ipynb"))
    parser = _parser(names, root / "runs")
    options = parser.parse_args(_marked(sys.argv[1:]))
    require("papermill", "nbconvert", "ipykernel")
    for name in set(options.notebooks) - set(names):
        parser.error(f"no notebook {name!r}; there are {', '.join(names)}")
    notebooks = [folder / f"{name}.ipynb" for name in options.notebooks or names]
    # As they were typed: each notebook reads them by their types.
    parameters = {
        name: os.fsencode(value.removeprefix(_MARK)).decode("utf-8", "replace")
        for name, value in options.p
    }
    if options.profile:
        parameters["profile"] = options.profile
    known = {notebook: _known_parameters(notebook) for notebook in notebooks}
    of_any = set().union(*known.values())
    for name in sorted(set(parameters) - of_any):
        parser.error(f"unknown parameter {name!r}; known: {', '.join(sorted(of_any))}")

    options.output.mkdir(parents=True, exist_ok=True)
    if options.output.samefile(folder):
        parser.error("--output is the folder of the notebooks, which would be overwritten")
    _remove_earlier(options.output, set(options.notebooks) or {*_EVER, *names})
    outputs = [options.output / notebook.name for notebook in notebooks]
    try:
        for notebook, output in zip(notebooks, outputs, strict=True):
            own = {name: value for name, value in parameters.items() if name in known[notebook]}
            if not _run(notebook, output, own, options.timeout, bool(options.notebooks)):
                return 1
            if output is outputs[0]:
                print(_told([output], "settings"), flush=True)
    finally:  # when it is known to which pages they can lead; also of one that failed
        for executed in filter(Path.exists, outputs):
            _write_page(executed, folder)
    settings = _told(outputs[:1], "settings")
    print(_told(outputs, "report", "hits"), settings, sep="")
    print(_what_next(outputs, settings, parameters.get("milvus_uri")))
    return 0


def _parser(names: list[str], runs: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers", description=__doc__)
    parser.add_argument(
        "notebooks", nargs="*", metavar="NAME", help=f"any of {', '.join(names)}; default: all"
    )
    parser.add_argument("--profile", choices=["auto", "tutorial", "demo"])
    example = "a notebook's parameter, as in: -p query_text 'a dog' -p labels '2024, 2025'"
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help=example
    )
    parser.add_argument("--output", type=Path, default=runs)
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for one cell")
    return parser


def _marked(arguments: list[str]) -> list[str]:
    """Mark the values of -p, or argparse would take "-dog" for an option."""
    marked: list[str] = []
    since = 2  # words since a -p: 1 is the name, 2 the value
    for word in arguments:
        since = 0 if word == "-p" and since >= 2 else since + 1
        marked.append(_MARK + word if since == 2 else word)
    return marked


def _known_parameters(notebook: Path) -> set[str]:
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    return set(papermill.inspect_notebook(_literal(notebook)))


def _run(notebook: Path, output: Path, parameters: dict, timeout: int, by_name: bool) -> bool:
    """Return whether a notebook ran to its end; if it did not, print which cell failed.

    One that was not asked for by name may find nothing to do.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    print(f"{notebook.stem}", flush=True)
    try:
        papermill.execute_notebook(
            _literal(notebook),
            _literal(output),
            parameters,
            execution_timeout=timeout,
            extra_arguments=["--log-level=ERROR"],  # else kernels warn about their sockets
        )
    except papermill.PapermillExecutionError as error:
        if error.ename == _NOTHING_TO_DO and not by_name:
            _end_with(error, output)
            why = error.evalue.partition("\n")[0]
            print(f"\n{notebook.stem} ends early: {why}. Its page says what to do", flush=True)
            return True
        failed = f"cell [{error.exec_count}]: {error.ename}: {error.evalue}"
    except (CellTimeoutError, DeadKernelError) as error:
        count = max(cell.get("execution_count") or 0 for cell in _cells([output]))
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


def _remove_earlier(output: Path, names: set[str]) -> None:
    """Remove what an earlier run wrote of these notebooks, and no other file."""
    for path in (output / f"{name}{ending}" for name in names for ending in (".ipynb", ".html")):
        path.unlink(missing_ok=True)


def _write_page(executed: Path, folder: Path) -> None:
    import nbformat

    notebook = nbformat.read(executed, as_version=4)
    notebook.metadata.pop("widgets", None)  # show pictures, which need no kernel or network
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
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
    cells = [cell for cell in _cells(executed) if {*tags} & set(cell.metadata.get("tags", []))]
    results = [output for cell in cells for output in cell.outputs if "data" in output]
    return "".join(f"\n{o.data['text/plain']}\n" for o in results if not _is_progress(o))


def _cells(executed: Iterable[Path]) -> list[Any]:
    import nbformat

    return [cell for path in executed for cell in nbformat.read(path, as_version=4).cells]


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
