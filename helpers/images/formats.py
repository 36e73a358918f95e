"""Formats of images: by which endings they are known, and the plug-ins that open them.

To add a format, add its ending here, and where Pillow needs one, its plug-in.
"""

import contextlib

__all__ = ["IMAGE_EXTENSIONS", "NOT_OPENED"]

IMAGE_EXTENSIONS = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"]
)
"""Endings of the files that are opened, in lower case."""

NOT_OPENED: dict[str, str] = {}
"""Endings of pictures and videos that are not opened, in lower case, and what to do about each."""

with contextlib.suppress(ImportError):  # an optional package, for the photos of iPhones
    from pillow_heif import register_heif_opener  # type: ignore[import-not-found]

    register_heif_opener()
