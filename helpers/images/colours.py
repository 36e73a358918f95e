"""Colours as a screen shows them: in 8 bits, in sRGB, and on a background if they are transparent.

Pillow cuts off what is above 255, so floats from 0 to 1 and 12 bits stored in 16 come out black.
Cameras and phones record in wider colour spaces, and say which in an ICC profile.
"""

import io
from functools import lru_cache
from typing import cast

import numpy as np
from PIL import Image, ImageChops, ImageCms, ImageFilter, ImageOps

_SAMPLE = 2**16  # numbers are looked at for the range of floats
_FEW = 0.1  # of a float picture's pixels may be beyond its range: reflections and bright skies
_NO_VALUE = 1e30  # and above: maps write such numbers where others write NaN
_BACKGROUNDS = ("white", "black", "grey")  # the first is taken where the picture shows on it
_SHARE = 0.55  # of its edges have to show
_CLEAR = 64  # of 255: an edge of this contrast is seen as well as any
_LOOK = 128  # pixels a side are enough to judge by
_SAME = 2  # of 255: a profile that changes colours by no more is sRGB
_GAMMA = 1 / 2.2
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


def decoded(image: Image.Image) -> Image.Image:
    """Return a picture of any depth in a mode of 8 bits a channel, decoded; see `in_8_bits`."""
    image.load()
    if not image.mode.startswith("I") and image.mode != "F":
        return image.convert("LA") if image.mode == "La" else image
    is_map = image.format == "PPM" and image.mode == "I"  # which Pillow has scaled
    grey = Image.fromarray(in_8_bits(np.asarray(image), 65535 if is_map else None))
    if getattr(image, "tag_v2", {}).get(262) == 0:  # PhotometricInterpretation: 0 is white
        grey = ImageOps.invert(grey)
    grey.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return grey


def in_8_bits(values: np.ndarray, white: float | None = None) -> np.ndarray:
    """Return integers or floats as numbers from 0 to 255, line by line to spare memory.

    A file seldom says what is white, but its content does: as many bits as the largest number has;
    for floats 1, or as many bits. What is black is 0, or where many numbers are negative, -white.

    Parameters
    ----------
    values : ndarray of shape (height, width) or (height, width, channels)
    white : float, optional
        Where it is known.

    Returns
    -------
    ndarray of uint8, of the same shape
    """
    low, high = _ends(values)
    if white is None:
        is_unit = values.dtype.kind == "f" and high <= 2
        white = 1 if is_unit else 2.0 ** max(8, int(max(high, -low - 1)).bit_length()) - 1
    black = -white if low < -white / 20 else 0  # a few negative values are overshoot
    scaled = np.empty(values.shape, np.uint8)
    for line, scaled_line in zip(values, scaled, strict=True):
        line = (np.clip(line, black, white) - black) * (255 / (white - black))
        scaled_line[...] = np.nan_to_num(line).round()
    return scaled


def _ends(values: np.ndarray) -> list[float]:
    """Return the least and the greatest of integers; of floats, of all but a few."""
    if values.dtype.kind != "f":
        return [values.min().item(), values.max().item()]
    found = values.flat[:: 1 + values.size // _SAMPLE].astype(float)
    return np.quantile(np.where(np.abs(found) < _NO_VALUE, found, 0), [_FEW, 1 - _FEW]).tolist()


def in_srgb(image: Image.Image) -> Image.Image:
    """Return an image in RGB or RGBA, its colours converted from those of its profile, if any.

    A profile that is broken, or made for another kind of image, is ignored.
    """
    profile = image.info.get("icc_profile") or b""
    alpha = None
    if image.has_transparency_data:
        image = image if image.mode == "LA" else image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("L" if image.mode == "LA" else "RGB")
    elif image.mode not in _SPACES:
        image = image.convert("L" if image.mode == "1" else "RGB")
    if not profile and image.mode in ("L", "RGB"):
        image = _in_gamma_of_srgb(image)
    if (profile or image.mode == "LAB") and (transform := _transform(profile, image.mode)):
        image = cast(Image.Image, ImageCms.applyTransform(image, transform))
    if alpha is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image if image.mode == "RGBA" else image.convert("RGB").convert("RGBA")
    image.putalpha(alpha)
    return image


def _in_gamma_of_srgb(image: Image.Image) -> Image.Image:
    """Return an image as browsers show it if its PNG declares a gamma, which few do."""
    gamma = image.info.get("gamma", _GAMMA)
    if "srgb" in image.info or not 0.2 < gamma < 2 or abs(gamma - _GAMMA) < 0.03:
        return image
    curve = [round(255 * (value / 255) ** (_GAMMA / gamma)) for value in range(256)]
    return image.point(curve * len(image.getbands()))


def on_background(image: Image.Image) -> Image.Image:
    """Return an image in RGB: on white, or if it cannot be seen there, on black or grey.

    What is seen of a picture are its edges: those inside it, and those of its outline against the
    background. White text shows on black, and a drawing in black and white on grey.
    """
    if image.mode != "RGBA":
        return image
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    small = image.reduce(max(1, max(image.size) // _LOOK))
    seen = {background: _edges(_on(small, background)) for background in _BACKGROUNDS}
    best = max(seen, key=seen.__getitem__)
    return _on(image, "white" if seen["white"] >= _SHARE * seen[best] else best)


def _on(image: Image.Image, background: str) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")


def _edges(image: Image.Image) -> float:
    """Return how much contrast there is between neighbouring pixels, all that is clear alike."""
    red, green, blue = ImageChops.subtract(
        image.filter(ImageFilter.MaxFilter(3)), image.filter(ImageFilter.MinFilter(3))
    ).split()
    strongest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    counts = strongest.histogram()
    return sum(min(contrast, _CLEAR) * count for contrast, count in enumerate(counts))


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from a profile to sRGB; None if there is none, or it changes nothing.

    Threads share it, so it has no memory of the last pixel (NOCACHE).
    """
    try:
        known = io.BytesIO(profile) if profile else ImageCms.createProfile("LAB")
        source = ImageCms.ImageCmsProfile(known)
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return _transform(b"", mode) if profile and mode == "LAB" else None
        transform = ImageCms.buildTransform(
            source, _SRGB, mode, "RGB", flags=ImageCms.Flags.NOCACHE
        )
    except (OSError, ImageCms.PyCMSError):
        return None
    return transform if mode in ("CMYK", "LAB") or _changes(transform, mode) else None


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a transform changes colours visibly, tried on colours all over the cube."""
    steps = bytes(range(0, 256, 15)) + b"\xff"
    n = len(steps)
    if mode == "L":
        sample = Image.frombytes("L", (n, 1), steps)
    else:
        cube = bytes(v for r in steps for g in steps for b in steps for v in (r, g, b))
        sample = Image.frombytes("RGB", (n * n, n), cube)
    after = ImageCms.applyTransform(sample, transform)
    assert after is not None  # it is only where the sample itself is changed
    difference = ImageChops.difference(sample.convert("RGB"), after)
    return bool(np.asarray(difference).max() > _SAME)
