"""Image files that Pillow refuses although no pixel is missing, mended in memory.

Such as a JPEG that lacks its end marker, or a PNG with a wrong checksum in a text. A file that is
only half copied has to stay refused: it is taken when it is whole.
"""

import contextlib
import hashlib
import io
import random
import re
import struct
import zlib
from collections.abc import Iterator
from typing import IO

from PIL import Image

from .memory import IN_FLIGHT
from .opening import open_image

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"  # markers of a JPEG
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # neither data nor a restart
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"acTL", b"fcTL", b"fdAT")
_WANTED = (b"tRNS", b"eXIf", b"gAMA", b"cHRM", b"sRGB")
_LARGEST_PROFILE = 2**24  # bytes
_TAIL = 16  # bytes
_DATA = 3  # zeros at the end may be data of the picture; more are space that was reserved
_PIECE = 2**20  # bytes are read at once


Mended = tuple[Image.Image, IO[bytes]]


def mended(file: IO[bytes]) -> Mended | None:
    """Return the opened image of a file that Pillow refused, and the copy that it was opened from.

    None if pixels are missing. It may be costly, as it is asked about refused files only.
    """
    file.seek(0)
    content = file.read()
    if content.startswith(_PNG):
        return _mended_png(content)
    if content.startswith(_JPEG):
        return _mended_jpeg(content)
    return None


def is_damaged(file: IO[bytes], image: Image.Image) -> bool:
    """Return whether pixels of an opened image are wrong or missing without Pillow saying so.

    It takes the zeros at the end of a half-copied file, whose space some programs reserve first,
    for grey, does not look at the checksums of a PNG's picture, and not at the end of a TIFF.
    """
    if image.format == "PNG":
        return _has_wrong_picture(file)
    if image.format == "TIFF":
        return _lacks_strips(file, image)
    if image.format in ("JPEG", "MPO"):
        return _ends_in_zeros(file) and not _has_end(file)
    if image.format in ("HEIF", "AVIF"):
        return _ends_in_zeros(file) and not _ends_in_free_space(file)
    return image.format == "JPEG2000" and _ends_in_zeros(file)


def _lacks_strips(file: IO[bytes], image: Image.Image) -> bool:
    """Return whether a compressed TIFF ends before its last strip or tile does."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(259, 1) == 1:  # Compression
        return False
    size = file.seek(0, io.SEEK_END)
    return any(
        start + length > size
        for starts, lengths in ((273, 279), (324, 325))  # offsets and byte counts
        for start, length in zip(tags.get(starts, ()), tags.get(lengths, ()), strict=False)
    )


def _ends_in_zeros(file: IO[bytes]) -> bool:
    file.seek(max(0, file.seek(0, io.SEEK_END) - _TAIL))
    return not any(file.read())


def _has_end(file: IO[bytes]) -> bool:
    """Return whether a JPEG has its end marker; some cameras add zeros after it."""
    file.seek(0)
    return any(marker == _END[1] for marker, _ in _segments(file.read()))


def _ends_in_free_space(file: IO[bytes]) -> bool:
    """Return whether the last of the boxes that a HEIF file is made of is there to be filled."""
    start = file.seek(0)
    kind = b""
    while len(head := file.read(16)) >= 8:
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:  # it is too large for four bytes
            (length,) = struct.unpack_from(">Q", head, 8)
        if length < 8:  # 0: up to the end
            break
        start = file.seek(start + length)
    return kind in (b"free", b"skip")


def _has_wrong_picture(file: IO[bytes]) -> bool:
    file.seek(len(_PNG))
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind not in (b"IDAT", b"fdAT"):
            file.seek(length + 4, io.SEEK_CUR)
            continue
        checksum = zlib.crc32(kind)
        while length and (piece := file.read(min(length, _PIECE))):
            checksum = zlib.crc32(piece, checksum)
            length -= len(piece)
        if file.read(4) not in (struct.pack(">I", checksum), b""):
            return True
    return False


def _mended_png(content: bytes) -> Mended | None:
    """Open a PNG without its texts and what is broken in it, unless that is its picture."""
    parts, profile = [_PNG], None
    for kind, data, is_right in _chunks(content):
        if kind in _NEEDED and not is_right:
            return None
        if kind == b"iCCP" and is_right:
            profile = _profile(data)
        elif kind in _NEEDED + _WANTED and is_right:
            parts.append(_chunk(kind, data))
    file = io.BytesIO(b"".join([*parts, _chunk(b"IEND", b"")]))
    image = open_image(file)
    if profile:
        image.info["icc_profile"] = profile
    return image, file


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield kind, data and whether the checksum is right, as it is where the file is cut."""
    start = len(_PNG)
    while start + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + 8 + length
        data, checksum = content[start + 8 : end], content[end : end + 4]
        if kind == b"IEND":
            return
        yield kind, data, len(checksum) < 4 or checksum == _checksum(kind, data)
        start = end + 4


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + _checksum(kind, data)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _profile(data: bytes) -> bytes | None:
    """Return an ICC profile of any size; Pillow takes only up to a megabyte."""
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj().decompress(data.partition(b"\0")[2][1:], _LARGEST_PROFILE)
    return None


def _mended_jpeg(content: bytes) -> Mended | None:
    """Open a JPEG with its end marker added, if no pixel depends on what may be missing before it.

    That is proved by adding various data: if a pixel is missing, it comes out in various ways.
    """
    without = content.rstrip(b"\0")
    if len(content) - len(without) > _DATA:
        content = without
    content = content.removesuffix(_END[:1])
    if not _has_all_scans(content):
        return None
    restarts = _RESTART.findall(content, content.rindex(_SCAN))
    restart = b"\xff" + bytes([0xD0 + (restarts[-1][0] + 1) % 8 if restarts else 0xD0])
    pictures = set()
    for seed in range(3):
        data = bytes(random.Random(seed).choices(range(255), k=256))
        pictures.add(_digest(content + data + restart + data + _END))
    file = io.BytesIO(content + _END)
    return (open_image(file), file) if len(pictures) == 1 else None


def _digest(content: bytes) -> bytes:
    image = open_image(io.BytesIO(content))
    with IN_FLIGHT.taken(image.width * image.height):
        digest = hashlib.blake2b(digest_size=16)
        for top in range(0, image.height, 64):
            digest.update(image.crop((0, top, image.width, top + 64)).tobytes())
        return digest.digest()


def _has_all_scans(content: bytes) -> bool:
    """Return whether a JPEG has a scan for every bit: progressive ones have about ten scans."""
    missing: set[tuple[int, int]] = {(0, 0)}  # of components and coefficients
    for marker, data in _segments(content):
        if marker in (0xC0, 0xC1, 0xC2):  # a frame: baseline, extended or progressive
            is_progressive = marker == 0xC2
            missing = {(data[6 + 3 * i], k) for i in range(data[5]) for k in range(64)}
        elif marker == _SCAN[1]:
            first, last, bits = data[-3:] if is_progressive else (0, 63, 0)
            if bits & 15 == 0:  # down to the lowest
                components = data[1 : 1 + 2 * data[0] : 2]
                missing -= {(c, k) for c in components for k in range(first, last + 1)}
    return not missing


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers of a JPEG, up to its end marker, with the data of each."""
    start = 2
    while found := _MARKER.search(content, start):
        marker, start = content[found.start() + 1], found.end()
        if marker == _END[1]:
            yield marker, b""
            return
        end = start + int.from_bytes(content[start : start + 2])
        yield marker, content[start + 2 : end]
        start = max(end, start)
