"""Thumbnails, kept on disk by the digest of the image's content: the next kernel need not decode.

They are in the folder `thumbnails` of the data folder, which may be deleted at any time. Where
there is no data folder, none are kept.
"""

import contextlib
import io
import os
from pathlib import Path

from PIL import Image, ImageOps

from ..paths import data_folder
from .pictures import content_digest, load_image

__all__ = ["EDGE", "thumbnail", "thumbnail_jpeg"]

EDGE = 160
"""Pixels a side, where nothing else is asked for."""

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
    folder = data_folder() / "thumbnails"
    kept = folder / f"{content_digest(path)}-{edge}.jpg"
    with contextlib.suppress(OSError):
        return kept.read_bytes()
    buffer = io.BytesIO()
    thumbnail(path, edge).save(buffer, "JPEG", quality=85)
    if folder.parent.is_dir():
        with contextlib.suppress(OSError):  # it may be read-only, or full
            _keep(kept, buffer.getvalue())
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
