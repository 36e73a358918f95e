"""Pictures as a person sees them: opened from files, upright, in sRGB, on a background.

Not about which files there are: that is `files`; nor about their formats' names: `formats`.
"""

import contextlib
import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import IO

from PIL import ExifTags, Image, ImageOps

from ..encoding import Picture
from . import formats
from .colours import in_srgb, on_background
from .facts import facts_of
from .memory import IN_FLIGHT, shrunk
from .mending import is_damaged, mended
from .opening import open_image
from .ranges import decoded

_SCALED = ("JPEG", "MPO")  # can be decoded smaller than they are
_ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF", "JXL")
_SMALL = 2**23  # bytes: read at once, as Pillow reads in many small steps
_FRAMES = 100  # of an animation are searched for one that shows something
_SMALLEST = 64  # pixels a side, where none is needed
_PLAIN = 8  # of 255: a picture with less contrast shows nothing

# Real photos often have broken EXIF data or very many pixels; Pillow warns about both.
warnings.filterwarnings("ignore", module=r"PIL\.")


def load_image(image: Picture, edge: int | None = None) -> Image.Image:
    """Return an image upright, in RGB, in sRGB, and on white where it is transparent.

    The tutorial ignores the EXIF orientation, so a phone's portrait photo is encoded lying down;
    and it drops transparency, which shows whatever colour is under it. A picture that cannot be
    seen on white is shown on black or grey; of an animation, the first frame that shows something.

    Parameters
    ----------
    image : path or PIL image
    edge : int, optional
        This many pixels a side are enough: a larger picture is reduced while it is read, by a
        whole number.

    Raises
    ------
    OSError
        If the file is missing or is not a whole image; the message names it and says why.
    """
    return read_image(image, edge)[0]


def read_image(image: Picture, edge: int | None = None) -> tuple[Image.Image, dict[str, object]]:
    """Return what `load_image` does, and what else the file says about the image (`_facts`).

    Of a file, the facts include its `digest`, see `content_digest`.
    """
    if isinstance(image, Image.Image):
        picture = _seen(image)
        return picture.copy() if picture is image else picture, _facts(image)
    try:
        with open(image, "rb") as opened:
            is_small = os.fstat(opened.fileno()).st_size <= _SMALL
            file = io.BytesIO(opened.read()) if is_small else opened
            digest = _digest(file)
            picture, facts = _read(file, os.fspath(image), edge)
            return picture, facts | {"digest": digest}
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on broken files
        raise OSError(f"{os.fspath(image)}: {_reason(image, error)}") from error


def noted_facts(path: str | os.PathLike) -> dict[str, object]:
    """Return what the camera noted in a file (see `facts_of`), and its digest, undecoded.

    Raises
    ------
    OSError
        As `load_image`.
    """
    try:
        with open(path, "rb") as file:
            digest = _digest(file)
            with open_image(file, os.fspath(path)) as image:
                return facts_of(image) | {"digest": digest}
    except Exception:  # what opens only after it was mended
        facts = read_image(path, _SMALLEST)[1]
        return {name: facts[name] for name in facts if name not in ("width", "height")}


def content_digest(path: str | os.PathLike) -> str:
    """Return 32 hex digits that tell a file's content from any other: its 128-bit BLAKE2b.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        return _digest(file)


def _digest(file: io.BufferedReader | io.BytesIO) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _facts(image: Image.Image) -> dict[str, object]:
    """Return the size of an open image as it is seen, and what the camera noted."""
    return _size(image) | facts_of(image)


def _size(image: Image.Image) -> dict[str, object]:
    width, height = _upright_size(image)
    return {"width": width, "height": height}


def _upright_size(image: Image.Image) -> tuple[int, int]:
    lies = _orientation(image) in (5, 6, 7, 8)  # TIFFs are turned when they are decoded
    return image.size[::-1] if lies else image.size


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF data
        return 1


def _reason(image: str | os.PathLike, error: Exception) -> str:
    if not isinstance(error, Image.UnidentifiedImageError):
        return f"cannot be read as an image ({error})"
    if os.path.getsize(image) == 0:
        return "the file is empty"
    what_to_do = formats.NOT_OPENED.get(Path(image).suffix.lower())
    return f"cannot be read as an image ({what_to_do or 'format not known'})"


def _read(file: IO[bytes], name: str, edge: int | None) -> tuple[Image.Image, dict[str, object]]:
    try:
        image = open_image(file, name)
        if is_damaged(file, image):
            raise OSError("image file is damaged, or only half copied")
        return _decoded(image, file, edge)
    except Exception:
        whole = None
        with contextlib.suppress(Exception):
            whole = mended(file)
        if whole is None:
            raise
    return _decoded(*whole, edge)


def _decoded(
    image: Image.Image, file: IO[bytes], edge: int | None
) -> tuple[Image.Image, dict[str, object]]:
    """Return the picture of an opened file and its facts, when there is memory to decode it."""
    with image, IN_FLIGHT.taken(_pixels(image, edge)):
        # A TIFF closes its file when it is decoded, and a PNG is decoded when its facts are read.
        is_tiff = image.format == "TIFF"
        facts = facts_of(image) if is_tiff else {}
        if image.format in _SCALED:
            facts |= _size(image)
        if edge:
            image.draft("RGB", (edge, edge))
        picture = _seen(image, edge, file)
        facts = _size(image) | facts
        if not is_tiff:
            facts |= facts_of(image)
        if image.format in _ANIMATIONS and getattr(image, "is_animated", False):
            picture = _first_that_shows(picture, image, edge)
        return picture, facts


def _pixels(image: Image.Image, edge: int | None) -> int:
    """Return how many pixels of memory decoding takes: most JPEGs can be decoded smaller."""
    scale = 1
    if edge and image.format in _SCALED and "progressive" not in image.info:
        scale = max(s for s in (1, 2, 4, 8) if s <= max(1, min(image.size) // edge))
    return image.width * image.height // scale**2


def _seen(
    image: Image.Image, edge: int | None = None, file: IO[bytes] | None = None
) -> Image.Image:
    image = decoded(image, file)
    orientation = _orientation(image)
    image = shrunk(image, edge)
    if orientation in range(2, 9):
        image.getexif()[ExifTags.Base.Orientation] = orientation
        image = ImageOps.exif_transpose(image)
    return on_background(in_srgb(image))


def _first_that_shows(
    picture: Image.Image, animation: Image.Image, edge: int | None
) -> Image.Image:
    """Return a picture, or if it is of one colour, the first of its animation that is not."""
    first, frame = picture.copy() if picture is animation else picture, 0
    with contextlib.suppress(EOFError):
        while _is_plain(picture):
            frame += 1
            if frame > _FRAMES:
                return first
            animation.seek(frame)
            picture = _seen(animation, edge)
        return picture
    return first


def _is_plain(image: Image.Image) -> bool:
    return all(high - low <= _PLAIN for low, high in image.getextrema())  # type: ignore[misc]
