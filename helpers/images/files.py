"""Image files: which there are, and how a person sees them: upright, in RGB, on white."""

import contextlib
import os
import warnings
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

__all__ = ["IMAGE_EXTENSIONS", "list_images", "load_image", "load_with_size", "sample_images"]

IMAGE_EXTENSIONS = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
}

with contextlib.suppress(ImportError):  # an optional package, for the photos of iPhones
    from pillow_heif import register_heif_opener

    register_heif_opener()

# Real photos often hold broken EXIF data or many pixels; Pillow warns of each.
warnings.filterwarnings("ignore", module=r"PIL\.")


def list_images(folder: str | os.PathLike) -> list[Path]:
    """List the images below a folder, sorted by their path.

    Files count by extension, in upper or lower case. Hidden files and folders (a leading dot)
    are left out, and links to folders are not followed.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, PermissionError
        If the folder is missing, is no folder, or cannot be read. A folder below it that cannot
        be read is left out with a warning.
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


def sample_images(folder: str | os.PathLike, n: int) -> list[Path]:
    """Pick up to `n` images spread over a folder, leaving out files that cannot be opened."""
    images = list_images(folder)
    every = max(1, len(images) // n)
    in_order = images[::every] + [image for i, image in enumerate(images) if i % every]
    return list(islice(filter(_opens, in_order), n))


def load_image(image: str | os.PathLike | Image.Image, edge: int | None = None) -> Image.Image:
    """Open an image upright, in RGB, on white where it is transparent.

    The tutorial ignores the EXIF orientation, so a phone's portrait photo is encoded lying down;
    and it drops transparency, which shows whatever colour lies under it.

    Parameters
    ----------
    image : path or PIL image
    edge : int, optional
        So many pixels a side are enough: a large JPEG is then decoded at 1/2, 1/4 or 1/8.

    Raises
    ------
    OSError
        If the file is missing or is no whole image; the message names it and says why.
    """
    if isinstance(image, Image.Image):
        return _to_rgb(image)
    return load_with_size(image, edge)[0]


def load_with_size(
    path: str | os.PathLike, edge: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Do what `load_image` does, and give the upright image's full (width, height) as well."""
    try:
        with Image.open(path) as opened:
            size = _upright_size(opened)
            if edge:
                opened.draft("RGB", (edge, edge))
            return _to_rgb(opened), size
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on broken files
        raise OSError(f"{os.fspath(path)}: {_reason(path, error)}") from error


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
    if image.mode.startswith("I"):  # 16 bits a pixel; convert() would cut off all above 255
        image = Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_EXTENSIONS


def _opens(path: Path) -> bool:
    if not path.is_file():  # opening a pipe would wait for ever
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
