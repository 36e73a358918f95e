"""Image files: which there are in a folder, and what is known of them without opening them."""

import os
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from . import formats
from .pictures import load_image

__all__ = ["ImageFile", "LeftOut", "Survey", "list_images", "look_at", "sample_images", "survey"]


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Return the images below a folder, sorted by their paths.

    Files count by extension, in upper or lower case. Hidden files and folders (a leading dot)
    are left out, and links to folders are not followed.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError
        If the folder is missing, is not a folder, or cannot be read. A folder below it that
        cannot be read is left out with a warning.
    """
    folder = Path(folder).expanduser()
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise type(error)(
            error.errno, f"the image folder cannot be read ({error.strerror})", str(folder)
        ) from None
    found = []
    for parent, folders, files in os.walk(folder, onerror=_warn_of_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if _is_image(name)]
    return sorted(found)


class LeftOut(NamedTuple):
    """Files of a kind that were not taken."""

    kind: str
    count: int  # type: ignore[assignment]  # a tuple's own method has this name
    example: str
    what_to_do: str


class Survey(NamedTuple):
    """What is in a folder."""

    images: list[Path]
    left_out: list[LeftOut]


def survey(folder: Path) -> Survey:
    """Return what is in a folder."""
    return Survey(list_images(folder), [])


def sample_images(folder: str | os.PathLike, n: int) -> list[Path]:
    """Return up to `n` images, spread over a folder, without files that cannot be opened."""
    images = list_images(folder)
    every = max(1, len(images) // n)
    in_order = images[::every] + [image for i, image in enumerate(images) if i % every]
    return list(islice(filter(_opens, in_order), n))


@dataclass(frozen=True)
class ImageFile(os.PathLike):
    """An image file, and the `facts` that are known without opening it."""

    path: Path
    facts: Mapping[str, object]

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def look_at(path: Path, folder: Path) -> ImageFile:
    """Return what is known without opening a file; its `filepath` counts from the folder.

    Raises
    ------
    OSError
        If it cannot be looked at, or is not a regular file: opening a pipe would wait forever.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    filepath = path.relative_to(folder)
    facts = {
        "filepath": filepath.as_posix(),
        "label": filepath.parent.name,
        "size": status.st_size,
        "mtime": status.st_mtime_ns,
    }
    return ImageFile(path, facts)


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in formats.IMAGE_EXTENSIONS


def _opens(path: Path) -> bool:
    if not path.is_file():  # opening a pipe would wait forever
        return False
    try:
        load_image(path, edge=64)
    except OSError:
        return False
    return True


def _warn_of_folder(error: OSError) -> None:
    warnings.warn(
        f"{error.filename}: folder left out, it cannot be read ({error.strerror})", stacklevel=4
    )
