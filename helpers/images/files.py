"""Image files: find them, and open them as a person sees them: upright, in RGB, on white."""

import contextlib
import os
import stat
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

__all__ = [
    "IMAGE_EXTENSIONS",
    "ImageFile",
    "Picture",
    "list_images",
    "load_image",
    "look_at",
    "read_image",
    "sample_images",
]

Picture = str | os.PathLike | Image.Image
"""What can be opened as an image: a path, or a PIL image."""


IMAGE_EXTENSIONS = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)

with contextlib.suppress(ImportError):  # an optional package, for the photos of iPhones
    from pillow_heif import register_heif_opener  # type: ignore[import-not-found]

    register_heif_opener()

# Real photos often have broken EXIF data or very many pixels; Pillow warns about both.
warnings.filterwarnings("ignore", module=r"PIL\.")


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
            facts = _facts(opened)
            if edge:
                opened.draft("RGB", (edge, edge))
            return _to_rgb(opened), facts
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on broken files
        raise OSError(f"{os.fspath(image)}: {_reason(image, error)}") from error


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


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in IMAGE_EXTENSIONS


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
