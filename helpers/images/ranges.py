"""Pictures of more than 8 bits a channel in 8 bits: integers and floats, of whatever range.

Pillow cuts off what is above 255, so floats from 0 to 1 and 12 bits stored in 16 come out black.
A file seldom says which range it uses; if it does not, its content does.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageFile
from tifffile import TiffFile, TiffPage

from .formats import open_known

_BITS = (8, 10, 12, 14, 16, 24, 32)  # of cameras and scanners, and of the types of numbers
_BITS_OF_SIGNED = (8, 10, 12, 14, 15, 23, 31)
_STRIP = 2**20  # pixels that are converted at once
_SAMPLE = 2**16  # of them are looked at for the range of floats
_FEW = 0.1  # of a float picture's pixels may be beyond its range: reflections and bright skies
_NO_VALUE = 1e30  # and above: maps write such numbers where others write NaN
_NATIVE = ";16L" if sys.byteorder == "little" else ";16B"
_SWAPPED = {";16L": ";16B", ";16B": ";16L", ";16N": {";16L": ";16B", ";16B": ";16L"}[_NATIVE]}

Range = tuple[float, float]

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is in the exception


def decoded(image: Image.Image, file: IO[bytes] | None = None) -> Image.Image:
    """Return a picture of any depth in a mode of 8 bits a channel, decoded.

    The ends of the range become black and white: of the range that the file declares (a TIFF's
    SMin-, SMax-, Min- and MaxSampleValue, or fewer than 16 bits), else of the content's, rounded
    up to as many bits as devices have; for floats to 1 or 255.

    Parameters
    ----------
    image : PIL image
    file : binary file, optional
        What the image was opened from. Of colours of 16 bits, Pillow keeps the high bytes; where
        these are dark, the low bytes are read from here.
    """
    has_low_bytes = any(_swapped(tile) for tile in getattr(image, "tile", ()))
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return _grey(image)
    if has_low_bytes and file:
        return _with_low_bytes(image, file)
    return image.convert("LA") if image.mode == "La" else image


def read_tiff(file: IO[bytes]) -> Image.Image:
    """Return the first page of a TIFF of a kind that Pillow does not know, such as float colours.

    Raises
    ------
    ValueError
        If it is neither grey nor RGB, or not whole.
    """
    file.seek(0)
    with TiffFile(file) as tiff:
        page = tiff.pages.first
        if not isinstance(page, TiffPage) or page.photometric not in (0, 1, 2):
            raise ValueError("a TIFF of an unknown kind")
        Image._decompression_bomb_check((page.imagewidth, page.imagelength))
        values = page.asarray()
        tags = {tag.code: tag.value for tag in page.tags}
    if page.axes.startswith("S"):  # each colour in a plane of its own
        values = np.moveaxis(values, 0, -1)
    return _from_values(values.reshape(page.imagelength, page.imagewidth, -1), tags)


def _from_values(values: np.ndarray, tags: Mapping) -> Image.Image:
    colours = 3 if values.shape[-1] >= 3 else 1
    has_alpha = colours < values.shape[-1] and np.max(tags.get(338, 0)) > 0  # ExtraSamples
    ends = _ends(tags, [values[..., :colours]])
    scaled = np.empty((*values.shape[:2], colours + has_alpha), np.uint8)
    for line, line_scaled in zip(values, scaled, strict=True):
        line_scaled[...] = _scaled(line[..., : colours + has_alpha], ends)
    if tags.get(262) == 0:  # PhotometricInterpretation: 0 is white
        scaled[..., :colours] = 255 - scaled[..., :colours]
    image = Image.fromarray(scaled[..., 0] if scaled.shape[-1] == 1 else scaled)
    image.getexif()[ExifTags.Base.Orientation] = tags.get(ExifTags.Base.Orientation, 1)
    if profile := tags.get(ExifTags.Base.InterColorProfile):
        image.info["icc_profile"] = profile
    return image


def _grey(image: Image.Image) -> Image.Image:
    """Return integers or floats as L, or as LA where one of the values is transparent."""
    tags = getattr(image, "tag_v2", {})
    unsigned = image.mode == "I" and tags.get(258) == (32,) and tags.get(339, (1,)) == (1,)
    kind = np.uint32 if unsigned else None  # Pillow reads them as signed
    scaled_before = image.format == "PPM" and image.mode == "I"
    ends = (0, 65535) if scaled_before else _ends(tags, (v for _, v in _strips(image, kind)))
    clear = image.info.get("transparency")
    grey = Image.new("L" if clear is None else "LA", image.size)
    for box, values in _strips(image, kind):
        scaled = _scaled(values, ends)
        if tags.get(262) == 0:  # PhotometricInterpretation: 0 is white
            scaled = 255 - scaled
        if clear is not None:
            scaled = np.dstack([scaled, np.where(values == clear, 0, 255).astype(np.uint8)])
        grey.paste(Image.fromarray(scaled), box)
    grey.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return grey


def _with_low_bytes(image: Image.Image, file: IO[bytes]) -> Image.Image:
    """Return colours of 16 bits scaled to 8; those that use all bits are left as they are."""
    colours = 4 if image.mode == "CMYK" else 3
    most = [256 * high + 255 for _, high in image.getextrema()]  # type: ignore[misc,operator]
    ends = _ends(getattr(image, "tag_v2", {}), [np.array([0, max(most[:colours])])])
    if ends == (0, 65535):
        return image
    low = _low_bytes(file)
    of_alpha = 0, max(ends[1], _top(most[-1], _BITS))
    for box, high in _strips(image):
        values = high * np.uint16(256) + np.asarray(low.crop(box))
        scaled = [_scaled(values[..., :colours], ends), _scaled(values[..., colours:], of_alpha)]
        size = box[2] - box[0], box[3] - box[1]
        image.paste(Image.frombytes(image.mode, size, np.dstack(scaled).tobytes()), box)
    return image


def _low_bytes(file: IO[bytes]) -> Image.Image:
    """Decode a file's colours of 16 bits as if their bytes were in the other order."""
    image = open_known(file)
    assert isinstance(image, ImageFile.ImageFile)
    is_grey = "LA;16B" in image.tile[0]
    image.tile = [_swapped(tile) or tile for tile in image.tile]
    image.load()
    if is_grey:
        _, grey, _, alpha = image.split()
        return Image.merge("RGBA", (grey, grey, grey, alpha))
    return image


def _swapped(tile: ImageFile._Tile) -> ImageFile._Tile | None:
    """Return a tile of 16 bits a colour with the two bytes swapped; None if it is another kind."""
    arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)  # plug-ins write plain tuples
    rawmode = str(arguments[0])
    if rawmode == "LA;16B":  # its low bytes can only be read with the high ones
        return tile._replace(args="RGBA")
    if rawmode[:-4] not in ("RGB", "RGBA", "RGBX", "CMYK") or rawmode[-4:] not in _SWAPPED:
        return None
    swapped = rawmode[:-4] + _SWAPPED[rawmode[-4:]]
    return tile._replace(args=(swapped, *arguments[1:]) if len(arguments) > 1 else swapped)


def _ends(tags: Mapping, strips: Iterable[np.ndarray]) -> Range:
    """Return the values of black and of white: as declared, unless that cannot be, or as found."""
    found = np.concatenate([_sample(values) for values in strips])
    low, high = (found.min().item(), found.max().item()) if found.size else (0, 0)
    declared = _declared(tags)
    if declared and high <= 4 * declared[1]:
        return declared
    if found.dtype.kind == "f":
        low, most = np.quantile(found, [_FEW, 1 - _FEW]) if found.size else (0, 0)
        top = 1 if most <= 2 else _top(high, _BITS)
    else:
        is_signed = low < 0 or 2 in np.atleast_1d(tags.get(339, 1))  # SampleFormat
        top = _top(max(high, -low - 1), _BITS_OF_SIGNED if is_signed else _BITS)
    return (-top if low < -top / 20 else 0), top  # a few negative values are overshoot


def _sample(values: np.ndarray) -> np.ndarray:
    """Return the least and the greatest of integers; of floats, values from all over them."""
    if values.dtype.kind != "f":
        return np.array([values.min(), values.max()])
    values = values.ravel()[:: 1 + values.size // _SAMPLE].astype(float)
    return values[np.abs(values) < _NO_VALUE]  # which NaN is not


def _top(high: float, bits: Iterable[int]) -> float:
    return next((2**n - 1 for n in bits if high < 2**n), 2**64 - 1)


def _declared(tags: Mapping) -> Range | None:
    for lowest, highest in ((340, 341), (280, 281)):  # SMin, SMax; Min, MaxSampleValue
        if highest in tags:
            low, high = np.min(tags.get(lowest, 0)), np.max(tags[highest])
            if -_NO_VALUE < low < high < _NO_VALUE:
                return float(low), float(high)
    bits = np.max(tags.get(258, 16))  # BitsPerSample
    return (0, 2.0**bits - 1) if 8 < bits < 16 else None


def _scaled(values: np.ndarray, ends: Range) -> np.ndarray:
    low, high = ends
    values = (np.clip(values, low, high).astype(np.float64) - low) * (255 / (high - low))
    return np.nan_to_num(values, copy=False).round().astype(np.uint8)


def _strips(
    image: Image.Image, kind: type | None = None
) -> Iterator[tuple[tuple[int, int, int, int], np.ndarray]]:
    """Yield boxes of an image and their values, so that no second copy of it all is made."""
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        values = np.asarray(image.crop(box))
        yield box, values.view(kind) if kind else values
