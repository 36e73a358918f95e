"""Formats of images: by which endings they are known, and the plug-ins that open them.

To add a format, add its ending here, and where Pillow needs one, its plug-in. A file is opened by
what it holds, whatever its name, but only if that is a format with an ending here: Pillow hands
PostScript to Ghostscript, a program that runs what is written in it.
"""

import contextlib
import importlib.util
import re
from typing import IO

from pi_heif import register_heif_opener
from PIL import Image

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

_BEGINNINGS = {  # of files that are not opened, with an ending that says what to do
    rb"%!PS|\xc5\xd0\xd3\xc6": ("EPS, PostScript", ".eps"),
    rb"%PDF-": ("PDF", ".pdf"),
    rb"8BPS": ("Photoshop's PSD", ".psd"),
    rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF": ("WMF, a metafile of Windows", ".wmf"),
    rb"\0\0\x01\0": ("ICO, an icon of Windows", ".ico"),
    rb"\s*(<\?xml.*|<!--.*)?(<!DOCTYPE svg|<svg)": ("SVG", ".svg"),
    rb"\xff\n|\0\0\0\x0cJXL ": ("JPEG XL", ".jxl"),
    rb"\x1aE\xdf\xa3|RIFF.{4}AVI |0&\xb2u|FLV|OggS|\0\0\x01[\xb0-\xbf]": ("a video", ".mp4"),
    rb".{4}(ftyp(qt|iso|mp4|M4|avc|3g|f4v|dash|MSNV)|moov|mdat|wide)": ("a video", ".mp4"),
}

IMAGE_EXTENSIONS = frozenset(_OPENED.split())
"""Endings of the files that are opened, in lower case."""

RAW_EXTENSIONS = frozenset(_RAW.split())
"""Endings of what cameras record, in lower case; `rawpy` opens it."""

VIDEO_EXTENSIONS = frozenset(_VIDEOS.split())
"""Endings of videos, in lower case."""

NOT_OPENED = dict.fromkeys(RAW_EXTENSIONS, "pip install rawpy") | {
    ".jxl": "pip install pillow-jxl-plugin",
    **dict.fromkeys(_AS_JPEG.split(), "export it as JPEG"),
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
        If it begins as something else that many people have; the message says what, and what to
        do. It is not left to Pillow, whose Targa plug-in takes some icons for pictures.
    PIL.UnidentifiedImageError
        If it is of no format that is opened. Broken files raise nearly anything.
    """
    file.seek(0)
    head = file.read(512)
    for beginning, (name, ending) in _BEGINNINGS.items():
        if ending not in IMAGE_EXTENSIONS and re.match(beginning, head, re.DOTALL):
            raise ValueError(f"it is {name}; {NOT_OPENED.get(ending, NOT_OPENED['.eps'])}")
    named = {Image.registered_extensions().get(ending) for ending in IMAGE_EXTENSIONS}
    return Image.open(file, formats=[name for name in Image.ID if name in named])
