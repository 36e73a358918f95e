"""Image files: which there are in a folder, and what is known of them without opening them.

To add a format or a leftover, add its name to `files.toml`: an ending, or a pattern. Where Pillow
needs a plug-in for a format, register that in `pictures`.
"""

import contextlib
import heapq
import importlib.util
import os
import re
import stat
import tomllib
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

_KNOWN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_ENDINGS = {kind: frozenset(endings.split()) for kind, endings in _KNOWN["endings"].items()}
_PHOTOS_LIBRARY = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")

BEGINNINGS: list[tuple[str, str, str]] = _KNOWN["beginnings"]["not_opened"]
"""Of files that are not opened: what it is, an ending that says what to do, how it begins."""

RAW_EXTENSIONS = _ENDINGS["raw"]
"""Endings of what cameras record, in lower case; `rawpy` opens it."""

IMAGE_EXTENSIONS = _ENDINGS["opened"].union(
    *(_ENDINGS[kind] for kind, each in _KNOWN["packages"].items() if importlib.util.find_spec(each))
)
"""Endings of the files that are opened, in lower case."""

NOT_OPENED = {
    ending: what_to_do
    for kind, what_to_do in _KNOWN["what_to_do"].items()
    for ending in _ENDINGS[kind] - IMAGE_EXTENSIONS
}
"""Endings of pictures and videos that are not opened, in lower case, and what to do about each."""

Why = tuple[str, ...]
"""Of what kind a file that is left out is, and what to do; empty if it is not left out."""

_HIDDEN = "hidden", "rename what begins with a dot, if it is yours"
_NO_ENDING = "without an image's ending", "rename them: they look like images inside"
_LOOP = "link to a folder that holds this one", "name that folder instead"
_CLOSED = "folder that cannot be read", "change its permissions"


class LeftOut(NamedTuple):
    """Files of one kind that were not taken: how many, one of them, and what to do about it."""

    kind: str
    number: int
    example: str
    what_to_do: str


class Survey(NamedTuple):
    """The `images` below a folder, sorted by their paths, and what was `left_out`."""

    images: list[Path]
    left_out: list[LeftOut]


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Return the images below a folder, sorted by their paths; see `survey`."""
    return survey(folder).images


def survey(folder: str | os.PathLike) -> Survey:
    """Look through a folder for images, and for what may be somebody's photo but is not taken.

    Files count by extension, in upper or lower case. Left out are hidden files and folders (a
    leading dot), what a NAS or an operating system leaves behind, and formats that cannot be
    opened here. Linked folders are followed, each real folder once. A file that can be reached in
    several ways counts once: by its real path, if that is below the folder.

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
        text = f"the image folder cannot be read ({error.strerror})"
        raise type(error)(error.errno, text, str(folder)) from None
    walk = _Walk(str(folder))
    walk.all()
    left_out = sorted(walk.left_out.values(), key=lambda each: -each.number)
    return Survey(sorted(map(Path, walk.images.values())), left_out)


@dataclass
class _Walk:
    """One look through a folder: first what is really in it, then where its links lead.

    What is hidden or a leftover comes last: links may lead to some of it.
    """

    folder: str
    images: dict[str, str] = field(default_factory=dict)  # by where they really are
    left_out: dict[str, LeftOut] = field(default_factory=dict)  # by kind
    seen: set[tuple[int, int]] = field(default_factory=set)  # folders, by device and inode
    waiting: list[tuple[bool, bool, bool, str, Why]] = field(default_factory=list)  # a heap

    def all(self) -> None:
        around = {_identity(str(path)) for path in Path(self.folder).resolve().parents}
        self.look_into(self.folder, ())
        while self.waiting:
            _, is_link, is_file, path, why = heapq.heappop(self.waiting)
            if is_file:
                self.take(path, os.path.realpath(path), why)
            elif is_link and _identity(path) in around:
                self.leave(path, *_LOOP)
            else:
                self.look_into(path, why)

    def look_into(self, path: str, why: Why) -> None:
        real = os.path.realpath(path)
        for entry in self.entries(path, why):
            is_link = entry.is_symlink()
            is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir()
            reason = why or _why_left(entry.name, path, is_folder)
            is_followed = not reason and (is_folder or _ending(entry.name) in IMAGE_EXTENSIONS)
            if not (is_link or is_folder):
                self.take(entry.path, os.path.join(real, entry.name), reason)
            elif not is_link or is_followed:
                order = bool(reason), is_link, not is_folder
                heapq.heappush(self.waiting, (*order, entry.path, reason))

    def entries(self, path: str, why: Why) -> Iterator[os.DirEntry]:
        """Yield what is in a folder that was not seen before."""
        try:
            identity = _identity(path)
            if identity in self.seen:
                return
            self.seen.add(identity)
            with os.scandir(path) as entries:
                yield from entries
        except OSError as error:
            if not why:
                self.leave(path, *_CLOSED)
                text = f"{path}: folder left out, it cannot be read ({error.strerror})"
                warnings.warn(text, stacklevel=6)

    def take(self, path: str, real: str, why: Why) -> None:
        """Take a file once if it is an image, or note why it is left out."""
        if real in self.images:
            return
        if _ending(path) in IMAGE_EXTENSIONS and not why:
            self.images[real] = path
        elif reason := _why_missed(path, why):
            self.leave(path, *reason)

    def leave(self, path: str, kind: str, what_to_do: str) -> None:
        below = os.fsencode(Path(path).relative_to(self.folder).as_posix())
        example = below.decode("utf-8", "replace")
        _, number, first, _ = self.left_out.get(kind, LeftOut(kind, 0, example, what_to_do))
        self.left_out[kind] = LeftOut(kind, number + 1, min(first, example), what_to_do)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _why_left(name: str, parent: str, is_folder: bool) -> Why:
    """Return why a file or folder is left out by its name; empty if it is not."""
    if what := leftover(name, os.path.basename(parent), is_folder):
        return f"in {name}" if is_folder else "leftover", what
    return _HIDDEN if name.startswith(".") else ()


def _why_missed(path: str, why: Why) -> Why:
    """Return why a file is not taken; empty if nobody will miss it: no picture, no video."""
    ending = _ending(path)
    if why:
        return why if ending in IMAGE_EXTENSIONS or ending in NOT_OPENED else ()
    if what_to_do := NOT_OPENED.get(ending):
        is_video = ending in _ENDINGS["videos"]
        return "video" if is_video else os.path.splitext(path)[1], what_to_do
    return _NO_ENDING if ending not in _ENDINGS["no_pictures"] and _looks_like_image(path) else ()


def _looks_like_image(path: str) -> bool:
    """Return whether a regular file begins as one of the usual formats does."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path):  # opening a pipe would wait forever
            with open(path, "rb") as file:
                return begins(file.read(12), _KNOWN["beginnings"]["of_pictures"])
    return False


def begins(head: bytes, pattern: str) -> bool:
    """Return whether a file whose first bytes these are begins as a pattern says."""
    return bool(re.match(pattern.encode(), head, re.DOTALL))


def leftover(name: str, parent: str, is_folder: bool) -> str:
    """Return what a file or folder is a leftover of, by its name; empty if it is none.

    Of a library of Apple Photos (`parent`) only the folder of the originals is the owner's.
    """
    name = name.casefold()
    if is_folder and parent.casefold().endswith(_PHOTOS_LIBRARY):
        return "" if name in ("originals", "masters") else "thumbnails of another program"
    kinds = _KNOWN["leftovers"]["folders" if is_folder else "files"]
    return next((what for what, names in kinds.items() if _pattern(*names).match(name)), "")


@cache
def _pattern(*names: str) -> re.Pattern:
    return re.compile("|".join(map(translate, names)))


def lies_in_leftovers(filepath: str) -> bool:
    """Return whether a file is a leftover, or in a folder of leftovers."""
    *folders, name = filepath.split("/")
    inside = any(leftover(each, parent, True) for parent, each in pairwise(["", *folders]))
    return inside or bool(leftover(name, "", False))


@dataclass(frozen=True)
class ImageFile(os.PathLike):
    """An image file, and the `facts` that are known without opening it."""

    path: Path
    facts: Mapping[str, object]
    identity: tuple[int, int]  # device and inode

    def __fspath__(self) -> str:
        return os.fspath(self.path)


def look_at(path: Path, folder: Path) -> ImageFile:
    """Return what is known without opening a file; its `filepath` counts from the folder.

    Its `stamp` is its inode and when that last changed (on Windows, when it was made), which no
    program sets: another file of the same size and time has another one. A file may get another
    one as well though its content stays, by `chmod`, a backup, or a disk that is mounted again.
    Linux knows no time of change on FAT and exFAT (it shows `mtime`), and makes up other inodes
    each time: these do not count, or cards and sticks would be read whole whenever they are back.

    Raises
    ------
    OSError
        If it cannot be looked at, or is not a regular file: opening a pipe would wait forever.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("not a regular file")
    filepath = path.relative_to(folder)
    inode = status.st_ino if status.st_ctime_ns != status.st_mtime_ns else 0
    facts = {
        "filepath": filepath.as_posix(),
        # an é may be one letter, or as on macOS an e and an accent
        "label": unicodedata.normalize("NFC", filepath.parent.name),
        "size": status.st_size,
        "mtime": status.st_mtime_ns,
        "stamp": f"{inode} {status.st_ctime_ns}",
    }
    return ImageFile(path, facts, (status.st_dev, status.st_ino))
