"""Pictures as a person sees them: opened from files, upright, in RGB, on white.

Not about which files there are: that is `files`; nor about their formats' names: `formats`.
"""

import hashlib
import os
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps

__all__ = ["Picture", "content_digest", "load_image", "read_image"]

Picture = str | os.PathLike | Image.Image
"""What can be opened as an image: a path, or a PIL image."""

# Real photos often have broken EXIF data or very many pixels; Pillow warns about both.
warnings.filterwarnings("ignore", module=r"PIL\.")


def load_image(image: Picture, edge: int | None = None) -> Image.Image:
    """Return an image upright, in RGB, on white where it is transparent.

    The tutorial ignores the EXIF orientation, so a phone's portrait photo is encoded lying down;
    and it drops transparency, which shows whatever colour is under it.

    Parameters
    ----------
    image : path or PIL image
    edge : int, optional
        This many pixels a side are enough: a large JPEG is then decoded at 1/2, 1/4 or 1/8.

    Raises
    ------
    OSError
        If the file is missing or is not a whole image; the message names it and says why.
    """
    return read_image(image, edge)[0]


def read_image(image: Picture, edge: int | None = None) -> tuple[Image.Image, dict[str, object]]:
    """Return what `load_image` does, and what else the file says about the image (`_facts`)."""
    if isinstance(image, Image.Image):
        return _to_rgb(image), _facts(image)
    try:
        with Image.open(image) as opened:
            facts = _facts(opened) | {"digest": content_digest(image)}
            if edge:
                opened.draft("RGB", (edge, edge))
            return _to_rgb(opened), facts
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on broken files
        raise OSError(f"{os.fspath(image)}: {_reason(image, error)}") from error


def content_digest(path: str | os.PathLike) -> str:
    """Return the 128-bit BLAKE2b digest of a file's content, as 32 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _facts(image: Image.Image) -> dict[str, object]:
    """Return what an open image says about itself; add one more fact of a row here."""
    width, height = _upright_size(image)
    return {"width": width, "height": height}


def _upright_size(image: Image.Image) -> tuple[int, int]:
    lies = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return image.size[::-1] if lies else image.size


def _reason(image: str | os.PathLike, error: Exception) -> str:
    if not isinstance(error, Image.UnidentifiedImageError):
        return f"cannot be read as an image ({error})"
    if os.path.getsize(image) == 0:
        return "the file is empty"
    if os.fspath(image).lower().endswith((".heic", ".heif")):
        return "HEIC photos need a package: pip install pillow-heif"
    return "cannot be read as an image (format not known)"


def _to_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits a pixel; convert() would cut off everything above 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")
