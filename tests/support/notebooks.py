"""The notebooks as files: their cells and what is in them."""

import re
from pathlib import Path

import nbformat

from .processes import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def code(notebook) -> list:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook, tag: str) -> list[int]:
    """Return the positions of the cells that have a tag."""
    cells = notebook.cells
    return [i for i, cell in enumerate(cells) if tag in cell.metadata.get("tags", [])]


def outputs(path: Path):
    """Yield the outputs of an executed notebook's cells."""
    for cell in code(nbformat.read(path, as_version=4)):
        yield from cell.outputs


def check_clean(path: Path) -> None:
    """Refuse errors, and whatever was written to stderr: warnings and logs of libraries."""
    for output in outputs(path):
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", f"{path.name}: {output.text}"


def pictures(path: Path) -> int:
    """Return how many pictures JupyterLab has to show, not counting widgets."""
    notebook = nbformat.read(path, as_version=4)
    shown = [output.get("data", {}) for cell in code(notebook) for output in cell.outputs]
    static = [data for data in shown if not any("widget-view" in kind for kind in data)]
    in_html = sum(data["text/html"].count("<img ") for data in static if "text/html" in data)
    figures = sum("image/png" in data and "text/html" not in data for data in static)
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return in_html + figures + len(re.findall(r"!\[", words))
