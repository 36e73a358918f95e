"""Formats of images: by which endings they are known, and the plug-ins that open them.

To add a format, add its ending here, and where Pillow needs one, its plug-in. A file is opened by
what it holds, whatever its name, but only if that is a format with an ending here: Pillow hands
PostScript to Ghostscript, a program that runs what is written in it.
"""

import contextlib
import importlib.util
import re
from collections.abc import Collection
from typing import IO

from pi_heif import register_heif_opener
from PIL import Image, UnidentifiedImageError

__all__ = ["IMAGE_EXTENSIONS", "NOT_OPENED", "RAW_EXTENSIONS", "VIDEO_EXTENSIONS", "open_known"]

_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf "
    ".raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
_OPENED = (
    ".jpg .jpeg .jpe .jfif .jif .jfi .pjpeg .pjp .mpo .png .apng .webp .gif .bmp .dib .tif .tiff "
    ".heic .heif .heics .heifs .hif .avif .avifs .jp2 .j2k .j2c .jpc .jpf .jpx .tga .ppm .pgm "
    ".pbm .pnm .pcx .qoi"
)
_AS_JPEG = ".eps .ai .psd .psb .xcf .kra .clip .afphoto .exr .hdr .jxr .wdp .hdp .bpg"
_VIDEOS = (
    ".mp4 .m4v .mov .avi .mkv .webm .wmv .flv .3gp .3g2 .mts .m2ts .mpg .mpeg .mpe .vob .ogv .asf "
    ".divx .insv .lrv"
)

_EXPORT = "export it as JPEG"
_BEGINNINGS = {  # of files that are not opened, with an ending that says what to do
    rb"%!PS|\xc5\xd0\xd3\xc6": ("EPS, PostScript", ".eps"),
    rb"%PDF-": ("PDF", ".pdf"),
    rb"\s*(<\?xml.*|<!--.*)?(<!DOCTYPE svg|<svg)": ("SVG", ".svg"),
    rb"\x1aE\xdf\xa3|RIFF.{4}AVI |0&\xb2u|FLV|OggS|\0\0\x01[\xb0-\xbf]": ("a video", ".mp4"),
    rb".{4}(ftyp(qt|iso|mp4|M4|avc|3g|f4v|dash|MSNV)|moov|mdat|wide)": ("a video", ".mp4"),
    rb"\xff\n|\0\0\0\x0cJXL ": ("JPEG XL", ".jxl"),
    rb"gimp xcf": ("GIMP's XCF", ".xcf"),
    rb"v/1\x01": ("OpenEXR", ".exr"),
    rb"PK\x03\x04": ("a ZIP archive", ".kra"),
    rb"\0\0\x01\0": ("Windows Icon", ".ico"),
}

IMAGE_EXTENSIONS = frozenset(_OPENED.split())
"""Endings of the files that are opened, in lower case."""

RAW_EXTENSIONS = frozenset(_RAW.split())
"""Endings of what cameras record, in lower case; `rawpy` opens it."""

VIDEO_EXTENSIONS = frozenset(_VIDEOS.split())
"""Endings of videos, in lower case."""

NOT_OPENED = dict.fromkeys(RAW_EXTENSIONS, "pip install rawpy") | {
    ".jxl": "pip install pillow-jxl-plugin",
    **dict.fromkeys(_AS_JPEG.split(), _EXPORT),
    **dict.fromkeys(VIDEO_EXTENSIONS, "only pictures are searched"),
}
"""Endings of pictures and videos that are not opened, in lower case, and what to do about each."""

register_heif_opener()

with contextlib.suppress(ImportError):  # an optional package
    import pillow_jxl  # type: ignore[import-not-found]  # noqa: F401

    IMAGE_EXTENSIONS |= {".jxl"}

if importlib.util.find_spec("rawpy"):  # an optional package, imported where it is needed
    IMAGE_EXTENSIONS |= RAW_EXTENSIONS

NOT_OPENED = {end: what for end, what in NOT_OPENED.items() if end not in IMAGE_EXTENSIONS}


def open_known(file: IO[bytes]) -> Image.Image:
    """Open a file with Pillow if its content is of a format with an ending here.

    Raises
    ------
    ValueError
        If it is of another format; the message says which, and what to do.
    PIL.UnidentifiedImageError
        If there is none of those either. Broken files raise nearly anything.
    """
    by_ending = Image.registered_extensions()
    known = {by_ending.get(ending) for ending in IMAGE_EXTENSIONS}
    file.seek(0)
    head = file.read(512)
    other = _by_beginning(head)
    if not other:
        try:
            return Image.open(file, formats=[name for name in Image.ID if name in known])
        except UnidentifiedImageError:
            other = _by_pillow(head[:16], known)
            if not other:
                raise
    raise ValueError(f"it is {other}")


def _by_beginning(head: bytes) -> str:
    """Return what a file is and what to do, if it begins as something that is not opened."""
    for beginning, (name, ending) in _BEGINNINGS.items():
        if ending not in IMAGE_EXTENSIONS and re.match(beginning, head, re.DOTALL):
            return f"{name}; {NOT_OPENED.get(ending, _EXPORT)}"
    return ""


def _by_pillow(head: bytes, known: Collection[str | None]) -> str:
    """Return the same of a format that Pillow knows by its beginning, without opening it."""
    for name, (factory, accept) in Image.OPEN.items():
        if name not in known and accept and accept(head) is True:
            return f"{getattr(factory, 'format_description', name)}; {_EXPORT}"
    return ""
