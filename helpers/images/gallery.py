"""Pictures in a notebook: thumbnails and the grid, from paths and captions."""

import base64
import html
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from IPython.display import HTML

from .thumbnails import EDGE, thumbnail_jpeg


def image_grid(
    paths: Sequence[str | os.PathLike],
    captions: Sequence[str] | None = None,
    columns: int = 5,
    title: str = "",
) -> HTML:
    """Show images as a grid of thumbnails, as the tutorial does with 5 columns and 2 rows.

    In a narrow window the thumbnails shrink, so that none is cut off.

    Parameters
    ----------
    paths : sequence of paths
        An image that cannot be read becomes a tile that says so.
    captions : sequence of str, optional
        One a picture; a line break starts a new line.
    columns : int
    title : str

    Returns
    -------
    IPython.display.HTML
        Holds the pictures itself, so that it lasts in a saved notebook.
    """
    return HTML(grid_html(paths, captions, columns, title))


def grid_html(
    paths: Sequence[str | os.PathLike],
    captions: Sequence[str] | None = None,
    columns: int = 5,
    title: str = "",
) -> str:
    """Return the HTML of `image_grid`; every text in it is escaped."""
    captions = [Path(path).name for path in paths] if captions is None else captions
    tiles = "".join(tile_html(*pair) for pair in zip(paths, captions, strict=True))
    heading = f"<p style='margin:4px 0 8px'><b>{html.escape(title)}</b></p>" if title else ""
    return (
        f"{heading}<div style='display:grid;gap:10px;"
        f"grid-template-columns:repeat({columns},minmax(0,{EDGE}px))'>{tiles}</div>"
    )


def tile_html(path: str | os.PathLike, caption: str, edge: int = EDGE) -> str:
    """Return the HTML of one thumbnail and its caption; every text in it is escaped."""
    name, alt = (html.escape(text, quote=True) for text in (os.fspath(path), Path(path).name))
    size = f"width:{edge}px;max-width:100%;aspect-ratio:1;border-radius:6px;display:block"
    try:
        picture = f"<img src='{picture_address(path)}' alt='{alt}' title='{name}' style='{size}'>"
    except (OSError, ValueError):  # ValueError: a NUL in the name
        picture = (
            f"<div title='{name}' style='{size};border:1px dashed;box-sizing:border-box;"
            "display:grid;place-items:center'>cannot be read</div>"
        )
    lines = html.escape(caption).replace("\n", "<br>")
    return (
        f"<figure style='margin:0'>{picture}<figcaption style='font-size:12px;line-height:1.4;"
        f"overflow-wrap:anywhere'>{lines}</figcaption></figure>"
    )


def picture_address(path: str | os.PathLike) -> str:
    """Return a thumbnail as an address that holds the picture itself.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """
    stat = os.stat(path)
    return _encoded(os.fspath(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2000)
def _encoded(path: str, mtime: int, size: int) -> str:
    """Keep the last two thousand, some 8 KB each; a file that changes is read again."""
    return as_address(thumbnail_jpeg(path))


def shortened(text: str, longest: int = 28) -> str:
    """Return a text on one line, cut to so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def as_address(jpeg: bytes) -> str:
    """Return a JPEG as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
