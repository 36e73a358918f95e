"""Image files opened, not yet decoded: by Pillow, and where it refuses, in other ways.

Not about files in which something is missing or wrong: that is `mending`.
"""

import contextlib
import io
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from PIL import ExifTags, Image

from . import formats
from .ranges import read_tiff

RECORDED = "recorded"
"""Where the `info` of a preview has the EXIF of the recording itself."""

_LARGEST = 2**28  # pixels: phones make 200 million
_OF_PHONES = ("JPEG", "HEIF")
_TURNS = {3: 3, 5: 8, 6: 6}  # LibRaw's numbers, and those of EXIF


def open_image(file: IO[bytes], name: str = "") -> Image.Image:
    """Return an opened image; only its name tells what a camera recorded from a TIFF.

    Raises
    ------
    Exception
        If the file is no image, or far too large; nearly anything on broken files.
    """
    if Path(name).suffix.lower() in formats.RAW_EXTENSIONS & formats.IMAGE_EXTENSIONS:
        with contextlib.suppress(OSError, ValueError):  # another kind of file under that name
            return _preview(file)
    try:
        image = formats.open_known(file)
        return read_tiff(file) if _is_misread(image) else image
    except Image.DecompressionBombError:
        photo = _photo_of_a_phone(file)
        if photo is None:
            raise
        return photo
    except Image.UnidentifiedImageError:
        file.seek(0)
        if file.read(2) not in (b"II", b"MM"):
            raise
        return read_tiff(file)


def _is_misread(image: Image.Image) -> bool:
    """Return whether it has 16 bits a colour in planes: Pillow takes every byte for a pixel."""
    tags = getattr(image, "tag_v2", {})
    in_planes = tags.get(284) == 2 and tags.get(277, 1) > 1  # PlanarConfiguration, SamplesPerPixel
    return in_planes and max(tags.get(258, (8,))) > 8 and tags.get(259, 1) == 1


def _photo_of_a_phone(file: IO[bytes]) -> Image.Image | None:
    """Open a file without Pillow's bound, which is there for what small files can grow to."""
    for name in _OF_PHONES:
        factory, accept = Image.OPEN[name]
        file.seek(0)
        if accept and accept(file.read(16)) is True:
            file.seek(0)
            image = factory(file, "")
            return image if image.width * image.height <= _LARGEST else None
    return None


def _preview(file: IO[bytes]) -> Image.Image:
    """Return the picture that a camera put beside its recording, or one made from that."""
    import rawpy  # type: ignore[import-not-found]

    file.seek(0)
    try:
        raw = rawpy.imread(cast(BinaryIO, file))
    except rawpy.LibRawError as error:
        raise ValueError(error) from error
    with raw:
        try:
            preview = raw.extract_thumb()
        except rawpy.LibRawError:
            return Image.fromarray(raw.postprocess(use_camera_wb=True))  # upright
        turn = _TURNS.get(raw.sizes.flip, 1)
        lies = raw.sizes.raw_width > raw.sizes.raw_height
    data: Any = preview.data  # a JPEG or an array
    is_jpeg = preview.format == rawpy.ThumbFormat.JPEG
    image = formats.open_known(io.BytesIO(data)) if is_jpeg else Image.fromarray(data)
    exif = image.getexif()
    if ExifTags.Base.Orientation not in exif and (image.width > image.height) == lies:
        exif[ExifTags.Base.Orientation] = turn
    image.info[RECORDED] = _exif_of(file)
    return image


def _exif_of(file: IO[bytes]) -> Image.Exif:
    """Return the EXIF of a camera's recording, which begins as a TIFF does; most previews lack it.

    It is read when it is asked for.
    """
    exif = Image.Exif()
    with contextlib.suppress(Exception):
        file.seek(0)
        exif.load_from_fp(file)
    return exif
