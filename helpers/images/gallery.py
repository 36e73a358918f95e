"""Pictures in a notebook: the grid, and thumbnails from paths.

Thumbnails are kept on disk by the digest of the image's content: the next kernel need not decode.
They are in the folder `thumbnails` of the data folder, which may be deleted at any time. Where
there is no data folder, none are kept.
"""

import base64
import contextlib
import html
import io
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from IPython.display import HTML
from PIL import Image, ImageOps

from ..settings import data_folder
from .pictures import content_digest, load_image

EDGE = 160
"""Pixels a side of a thumbnail, where nothing else is asked for."""

WIDEST = 4
"""A whole photo as a thumbnail is at most so many times as wide as it is high."""

Paths = Sequence[str | os.PathLike]

_MOST = 10_000  # files, some 8 KB each
_LOOK_AT = "00"  # a new one whose digest begins so, one in 256, looks whether there are too many


def image_grid(
    paths: Paths, captions: Sequence[str] | None = None, columns: int = 5, title: str = ""
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
    paths: Paths, captions: Sequence[str] | None = None, columns: int = 5, title: str = ""
) -> str:
    """Return the HTML of `image_grid`; every text in it is escaped."""
    captions = [Path(path).name for path in paths] if captions is None else captions
    tiles = "".join(tile_html(*pair) for pair in zip(paths, captions, strict=True))
    heading = f"<p style='margin:4px 0 8px'><b>{html.escape(title)}</b></p>" if title else ""
    return (
        f"{heading}<div style='display:grid;gap:10px;"
        f"grid-template-columns:repeat({columns},minmax(0,{EDGE}px))'>{tiles}</div>"
    )


def tile_html(path: str | os.PathLike, caption: str) -> str:
    """Return the HTML of one thumbnail and its caption; every text in it is escaped."""
    name, alt = (html.escape(text, quote=True) for text in (os.fspath(path), Path(path).name))
    size = f"width:{EDGE}px;max-width:100%;aspect-ratio:1;border-radius:6px;display:block"
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


def shortened(text: str, longest: int = 28) -> str:
    """Return a text on one line, cut to so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def picture_address(path: str | os.PathLike) -> str:
    """Return a thumbnail as an address that holds the picture itself.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """
    stat = os.stat(path)
    return _address(os.fspath(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=2000)
def _address(path: str, mtime: int, size: int) -> str:
    """Keep the last two thousand, some 8 KB each; a file that changes is read again."""
    return as_address(thumbnail_jpeg(path))


def as_address(jpeg: bytes) -> str:
    """Return a JPEG as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def thumbnail(path: str | os.PathLike, edge: int = EDGE) -> Image.Image:
    """Open an image cut to a square of `edge` x `edge` pixels around its centre, upright, RGB.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """
    return ImageOps.fit(load_image(path, 2 * edge), (edge, edge), Image.Resampling.BICUBIC)


def thumbnail_jpeg(path: str | os.PathLike, edge: int = EDGE) -> bytes:
    """Return a thumbnail as a JPEG, from the disk if it is kept there.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """
    return _kept(path, str(edge), lambda: thumbnail(path, edge))


def whole_jpeg(path: str | os.PathLike, height: int, keep: bool = True) -> bytes:
    """Return an image uncut as a JPEG, at most so many pixels high and `WIDEST` times as wide.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """

    def draw() -> Image.Image:
        picture = load_image(path, 2 * height)
        picture.thumbnail((WIDEST * height, height), Image.Resampling.BICUBIC)
        return picture

    return _kept(path, f"h{height}", draw) if keep else _jpeg(draw())


def _kept(path: str | os.PathLike, size: str, draw: Callable[[], Image.Image]) -> bytes:
    """Return a JPEG from the disk; if it is not there, draw it and keep it."""
    folder = data_folder() / "thumbnails"
    kept = folder / f"{content_digest(path)}-{size}.jpg"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    content = _jpeg(draw())
    with contextlib.suppress(OSError):  # it may be read-only, full or missing
        folder.mkdir(exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")  # so that it appears only when it is whole
        draft.write_bytes(content)
        draft.replace(kept)
        if kept.name.startswith(_LOOK_AT):
            _remove_oldest(folder)
    return content


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _remove_oldest(folder: Path) -> None:
    by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in by_age[:-_MOST]:
        path.unlink(missing_ok=True)  # another process may have been quicker
