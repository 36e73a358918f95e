"""The pictures of a benchmark: copies that differ in content, and which ones can be compared.

Ingestion knows a copy by its content and does not encode it. So every copy gets a mark, in a place
where the format keeps remarks: another file for ingestion, the same work for whoever decodes it.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import ExifTags, Image

from helpers import sample_images
from helpers.images.pictures import load_image

SPACE = 2**30  # bytes that all copies may take
SAME = 0.02  # of a pixel's value, as CLIP sees it: about one step of 255

_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_REASONS: dict[str, Callable[[Image.Image], object]] = {
    "its orientation": lambda image: (
        image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    ),
    "transparency": lambda image: image.has_transparency_data,
    "more than 8 bits a colour": lambda image: (
        image.mode[0] in "IF" or ";16" in str(getattr(image, "tile", ""))
    ),
    "a colour profile": lambda image: image.info.get("icc_profile"),
    "a declared gamma": lambda image: "gamma" in image.info,
    "a palette": lambda image: image.mode in ("1", "P", "PA"),
    "another colour space": lambda image: image.mode in ("CMYK", "LAB", "YCbCr", "HSV"),
    "several frames": lambda image: getattr(image, "is_animated", False),
}


def marked(content: bytes, mark: str) -> bytes:
    """Return a file of the same picture and another content.

    A comment in a JPEG or a PNG, a free box in HEIF, AVIF and JPEG 2000; other formats end where
    they say so, and what follows is not read.
    """
    note = mark.encode("ascii")
    if content.startswith(_JPEG):
        return _JPEG + b"\xff\xfe" + struct.pack(">H", 2 + len(note)) + note + content[2:]
    if content.startswith(_PNG):
        end = len(_PNG) + 12 + int.from_bytes(content[8:12])  # of the first chunk
        return content[:end] + _chunk(b"tEXt", b"Comment\0" + note) + content[end:]
    if content[4:8] in (b"ftyp", b"jP  "):
        return content + struct.pack(">I4s", 8 + len(note), b"free") + note
    return content + note


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def copies(paths: Sequence[Path], folder: Path, most: int) -> list[Path]:
    """Fill a folder with marked copies of all pictures, up to `most` times; return their paths.

    In this order they are also ingested. No two files have the same content.
    """
    size = sum(path.stat().st_size for path in paths)
    times = max(1, min(most, SPACE // size))
    folder.mkdir(parents=True)
    made = []
    for number in range(times * len(paths)):
        path = paths[number % len(paths)]
        made.append(folder / f"{number:06}{path.suffix}")
        made[-1].write_bytes(marked(path.read_bytes(), f"copy {number:06}"))
    return made


def sample(folder: Path, n: int) -> tuple[list[Path], list[Path]]:
    """Return up to n pictures of a folder, and those that only we can open, so nobody compares.

    Raises
    ------
    SystemExit
        If there is none for all.
    """
    found = sample_images(folder, n)
    opened = [path for path in found if _pillow_opens(path)]
    if not opened:
        raise SystemExit(f"{folder} holds no image that the other ways can open: name another")
    return opened, [path for path in found if path not in opened]


def _pillow_opens(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except Exception:  # Pillow's readers raise nearly anything
        return False
    return True


def decoded_otherwise(paths: Sequence[Path], preprocess: Callable) -> dict[Path, str]:
    """Return the pictures that we do not decode as the tutorial does, each with the reason.

    Such as a photo with a camera's colour profile, which we convert and the tutorial ignores. Their
    vectors differ, and ought to. `preprocess` is the model's own, from a picture to a tensor.
    """
    reasons = {}
    for path in paths:
        with Image.open(path) as image:
            difference = preprocess(image) - preprocess(load_image(path))
            if difference.abs().max() > SAME:
                reasons[path] = _reason(image)
    return reasons


def _reason(image: Image.Image) -> str:
    found = [reason for reason, applies in _REASONS.items() if applies(image)]
    return " and ".join(found) or "an unknown reason"
