"""Image files: which there are in a folder, and what is known of them without opening them."""

import os
import stat
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from . import formats
from .leftovers import leftover
from .pictures import load_image

_HIDDEN = "hidden", "rename what begins with a dot, if it is yours"
_NO_ENDING = "without an image's ending", "rename them: they look like images inside"
_LOOP = "link to a folder that holds this one", "name that folder instead"
_CLOSED = "folder that cannot be read", "change its permissions"
_DOCUMENTS = (  # and whatever else is known not to be a picture
    ".txt .md .pdf .svg .xmp .json .aae .xml .html .htm .doc .docx .xls .xlsx .ppt .pptx .odt .csv "
    ".db .sqlite .ini .lnk .url .log .py .pyc .ipynb .zip .rar .7z .gz .tar .mp3 .m4a .wav "
    ".flac .ogg .aac .gpx .kml .pp3 .dop .cos .exe .dll .so .js .css"
)
_NO_IMAGES = frozenset(_DOCUMENTS.split())
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*")
_HEIF = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


class LeftOut(NamedTuple):
    """Files of one kind that were not taken: how many, one of them, and what to do about it."""

    kind: str
    number: int
    example: str
    what_to_do: str


@dataclass(frozen=True)
class Survey:
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
        raise type(error)(
            error.errno, f"the image folder cannot be read ({error.strerror})", str(folder)
        ) from None
    walk = _Walk(str(folder))
    walk.all()
    left_out = [LeftOut(kind, *rest) for kind, rest in walk.left_out.items()]
    left_out.sort(key=lambda each: -each.number)
    return Survey(sorted(map(Path, walk.images)), left_out)


@dataclass
class _Walk:
    """One look through a folder: first what is really in it, then where its links lead."""

    folder: str
    images: list[str] = field(default_factory=list)
    left_out: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)  # folders, by device and inode
    real: set[str] = field(default_factory=set)  # where the images really are
    linked_folders: list[str] = field(default_factory=list)
    linked_files: list[str] = field(default_factory=list)
    aside: list[tuple[str, tuple[str, str]]] = field(default_factory=list)  # hidden, leftovers

    def all(self) -> None:
        self.walk(self.folder)
        around = {_identity(str(path)) for path in Path(self.folder).resolve().parents}
        while self.linked_folders:
            self.linked_folders.sort(reverse=True)
            link = self.linked_folders.pop()
            if _identity(link) in around:
                self.leave(link, *_LOOP)
            else:
                self.walk(link)
        for link in sorted(self.linked_files):
            target = os.path.realpath(link)
            if target not in self.real:
                self.real.add(target)
                self.take(link)
        for path, why in self.aside:  # last: links may lead to some of what is in there
            self.walk(path, why)

    def walk(self, top: str, why: tuple[str, str] = ("", "")) -> None:
        folders = [(top, os.path.realpath(top))]
        while folders:
            path, real = folders.pop()
            for entry in self.entries(path, why):
                real_path = os.path.join(real, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    reason = why if why[0] else _why_left(entry.name, path, True)
                    if reason == why:
                        folders.append((entry.path, real_path))
                    else:
                        self.aside.append((entry.path, reason))
                elif entry.is_symlink():
                    self.note_link(entry, path, why)
                elif real_path not in self.real and self.take(entry.path, why):
                    self.real.add(real_path)

    def entries(self, path: str, why: tuple[str, str]) -> Iterator[os.DirEntry]:
        """Yield what is in a folder that was not seen before."""
        try:
            identity = _identity(path)
            if identity in self.seen:
                return
            if not why[0]:  # a link may lead to a hidden folder
                self.seen.add(identity)
            with os.scandir(path) as entries:
                yield from entries
        except OSError as error:
            if not why[0]:
                self.leave(path, *_CLOSED)
                text = f"{path}: folder left out, it cannot be read ({error.strerror})"
                warnings.warn(text, stacklevel=6)

    def note_link(self, entry: os.DirEntry, path: str, why: tuple[str, str]) -> None:
        if not os.path.isdir(entry.path):  # a loop, too
            if not why[0] and _may_be_image(entry.name):
                self.linked_files.append(entry.path)
        elif not (why[0] or _why_left(entry.name, path, True)[0]):
            self.linked_folders.append(entry.path)

    def take(self, path: str, why: tuple[str, str] = ("", "")) -> bool:
        """Take a file if it is an image, or note what it is; return whether it was taken."""
        parent, name = os.path.split(path)
        ending = os.path.splitext(name)[1].lower()
        is_image = ending in formats.IMAGE_EXTENSIONS
        why = why if why[0] else _why_left(name, parent, False)
        if why[0]:
            if is_image or ending in formats.NOT_OPENED:
                self.leave(path, *why)
        elif is_image:
            self.images.append(path)
            return True
        elif what_to_do := formats.NOT_OPENED.get(ending):
            is_video = ending in formats.VIDEO_EXTENSIONS
            self.leave(path, "video" if is_video else os.path.splitext(name)[1], what_to_do)
        elif ending not in _NO_IMAGES and _looks_like_an_image(path):
            self.leave(path, *_NO_ENDING)
        return False

    def leave(self, path: str, kind: str, what_to_do: str) -> None:
        below = os.fsencode(Path(path).relative_to(self.folder).as_posix())
        example = below.decode("utf-8", "replace")
        number, first, _ = self.left_out.get(kind, (0, example, ""))
        self.left_out[kind] = number + 1, min(first, example), what_to_do


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _why_left(name: str, parent: str, is_folder: bool) -> tuple[str, str]:
    """Return of what kind a file or folder that is left out is, and what to do; else ("", "")."""
    if what := leftover(name, os.path.basename(parent), is_folder):
        return f"in {name}" if is_folder else "leftover", what
    return _HIDDEN if name.startswith(".") else ("", "")


def _may_be_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in formats.IMAGE_EXTENSIONS


def _looks_like_an_image(path: str) -> bool:
    """Return whether a regular file begins as one of the usual formats does."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait forever
            return False
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return False
    is_webp = start[:4] == b"RIFF" and start[8:] == b"WEBP"
    is_heif = start[4:8] == b"ftyp" and start[8:] in _HEIF
    return start.startswith(_BEGINNINGS) or is_webp or is_heif


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
    identity: tuple[int, int]  # device and inode

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
        # an é may be one letter, or as on macOS an e and an accent
        "label": unicodedata.normalize("NFC", filepath.parent.name),
        "size": status.st_size,
        "mtime": status.st_mtime_ns,
    }
    return ImageFile(path, facts, (status.st_dev, status.st_ino))


def _opens(path: Path) -> bool:
    if not path.is_file():  # opening a pipe would wait forever
        return False
    try:
        load_image(path, edge=64)
    except OSError:
        return False
    return True
