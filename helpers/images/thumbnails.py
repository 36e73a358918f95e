"""Thumbnails, kept on disk by the digest of the image's content: the next kernel need not decode.

They are in the folder `thumbnails` of the data folder, which may be deleted at any time. Where
there is no data folder, none are kept.
"""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageOps

from ..settings import data_folder
from .pictures import content_digest, load_image

EDGE = 160
"""Pixels a side, where nothing else is asked for."""

WIDEST = 4
"""A whole photo as a thumbnail is at most so many times as wide as it is high."""

_MOST = 10_000  # files, some 8 KB each
_LOOK_EVERY = 500  # new ones, and after the first: are there too many?
_written = 0


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
    if folder.parent.is_dir():
        with contextlib.suppress(OSError):  # it may be read-only, or full
            _keep(kept, content)
    return content


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _keep(path: Path, content: bytes) -> None:
    """Write a file that appears only when it is whole."""
    global _written
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
    if _written % _LOOK_EVERY == 0:
        _remove_oldest(path.parent)
    _written += 1


def _remove_oldest(folder: Path) -> None:
    with os.scandir(folder) as entries:
        by_age = sorted(entries, key=lambda entry: entry.stat().st_mtime)
    for entry in by_age[: max(0, len(by_age) - _MOST)]:
        with contextlib.suppress(OSError):  # another process may have been quicker
            os.unlink(entry)
