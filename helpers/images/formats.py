"""Formats of images: by which endings they are known, and the plug-ins that open them.

To add a format, add its ending here, and where Pillow needs one, its plug-in.
"""

import contextlib
import importlib.util

from pi_heif import register_heif_opener

__all__ = ["IMAGE_EXTENSIONS", "NOT_OPENED", "RAW_EXTENSIONS", "VIDEO_EXTENSIONS"]

_RAW = (
    ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf "
    ".raw .rw2 .rwl .sr2 .srf .srw .x3f"
)
_OPENED = (
    ".jpg .jpeg .jpe .jfif .jif .jfi .pjpeg .pjp .mpo .png .apng .webp .gif .bmp .dib .tif .tiff "
    ".heic .heif .heics .heifs .hif .avif .avifs .jp2 .j2k .j2c .jpc .jpf .jpx .tga .ppm .pgm "
    ".pbm .pnm .pcx .qoi"
)
_AS_JPEG = ".psd .psb .xcf .kra .clip .afphoto .exr .hdr .jxr .wdp .hdp .bpg"
_VIDEOS = (
    ".mp4 .m4v .mov .avi .mkv .webm .wmv .flv .3gp .3g2 .mts .m2ts .mpg .mpeg .mpe .vob .ogv .asf "
    ".divx .insv .lrv"
)

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
