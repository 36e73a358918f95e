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
import re
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

# What has letters shown in another order, or is none; and letters written from right to left.
_SWAPS = "[\0-\b\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]"
_LEFTWARDS = "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
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
    captions = [isolated(Path(path).name) for path in paths] if captions is None else captions
    tiles = "".join(tile_html(*pair) for pair in zip(paths, captions, strict=True))
    heading = f"<p dir='auto' style='margin:4px 0 8px'><b>{as_html(title)}</b></p>" if title else ""
    style = f"display:grid;gap:10px;grid-template-columns:repeat({columns},minmax(0,{EDGE}px))"
    return f"{heading}<div style='{style}'>{tiles}</div>"


def tile_html(path: str | os.PathLike, caption: str) -> str:
    """Return the HTML of one thumbnail and its caption; every text in it is escaped."""
    name, alt = (html.escape(in_order(text)) for text in (os.fspath(path), Path(path).name))
    size = f"width:{EDGE}px;max-width:100%;aspect-ratio:1;border-radius:6px;display:block"
    try:
        picture = f"<img src='{picture_address(path)}' alt='{alt}' title='{name}' style='{size}'>"
    except (OSError, ValueError):  # ValueError: a NUL in the name
        frame = "border:1px dashed;box-sizing:border-box;display:grid;place-items:center"
        picture = f"<div title='{name}' style='{size};{frame}'>cannot be read</div>"
    lines = "<br>".join(f"<bdi>{line}</bdi>" for line in as_html(caption).split("\n"))
    style = "font-size:12px;line-height:1.4;overflow-wrap:anywhere"
    words = f"<figcaption style='{style}'>{lines}</figcaption>"
    return f"<figure style='margin:0'>{picture}{words}</figure>"


def in_order(text: str) -> str:
    """Return somebody's text without what would show its letters in another order, or is no letter.

    With U+202E in it, photo-gpj.exe looks like a JPEG: what comes after that is shown backwards
    (https://unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
    """
    return re.sub(_SWAPS, "", text)


def isolated(text: str) -> str:
    """Return somebody's text `in_order`, as it may stand within other words.

    If it is written from right to left, it gets U+2068 and U+2069 around it. Else digits that come
    after it are shown before it (https://unicode.org/reports/tr9/#Explicit_Directional_Isolates).
    """
    text = in_order(text)
    return f"\u2068{text}\u2069" if re.search(_LEFTWARDS, text) else text


def as_html(text: str) -> str:
    """Return a text as HTML, `in_order` and with `<bdi>` around what is `isolated` in it."""
    return in_order(html.escape(text).replace("\u2068", "<bdi>").replace("\u2069", "</bdi>"))


def shortened(text: str, longest: int = 28) -> str:
    """Return a text on one line, cut to so many characters."""
    text = " ".join(in_order(text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def picture_address(path: str | os.PathLike) -> str:
    """Return a thumbnail as an address that holds the picture itself.

    Raises
    ------
    OSError
        If the file cannot be read as an image.
    """
    stat = os.stat(path)
    return _address(os.fspath(path), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)


@lru_cache(maxsize=2000)
def _address(path: str, *_seen: int) -> str:
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
