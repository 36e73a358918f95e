"""EXIF and XMP in bytes, as odd as cameras and programs write them, without any library."""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO

from PIL import Image

ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED, DOUBLE = 2, 3, 4, 5, 7, 10, 12
_FORMS = {SHORT: "H", LONG: "I", RATIONAL: "II", SIGNED: "ii", DOUBLE: "d"}
_EXIF, _GPS = 0x8769, 0x8825
Tags = Mapping[int, tuple[int, bytes | Sequence]]
"""Each tag's type, and its bytes or its numbers; a rational is a pair."""

HEAD = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:dc="http://purl.org/dc/elements/1.1/">"""


def exif(ifd0: Tags, details: Tags | None = None, gps: Tags | None = None, order="<") -> bytes:
    """Return a TIFF structure: that of a camera, if `order` is "<" (Intel) or ">" (Motorola)."""
    parts = {_EXIF: details, _GPS: gps}
    tags = {**ifd0, **{tag: (LONG, [0]) for tag, part in parts.items() if part}}
    end = 8 + len(_directory(tags, 8, order))
    written = b""
    for tag, part in parts.items():
        if part:
            tags[tag] = (LONG, [end + len(written)])
            written += _directory(part, end + len(written), order)
    start = b"II*\0\10\0\0\0" if order == "<" else b"MM\0*\0\0\0\10"
    return start + _directory(tags, 8, order) + written


def _directory(tags: Tags, offset: int, order: str) -> bytes:
    """Return a directory that begins at an offset, with its values behind it."""
    entries, values = struct.pack(order + "H", len(tags)), b""
    behind = offset + 2 + 12 * len(tags) + 4
    for tag, (kind, content) in sorted(tags.items()):
        data, count = _data(kind, content, order)
        place = data.ljust(4, b"\0")
        if len(data) > 4:
            place = struct.pack(order + "I", behind + len(values))
            values += data + bytes(len(data) % 2)
        entries += struct.pack(order + "HHI", tag, kind, count) + place
    return entries + bytes(4) + values


def _data(kind: int, content: bytes | Sequence, order: str) -> tuple[bytes, int]:
    if isinstance(content, bytes):
        return content, len(content)
    form = order + _FORMS[kind]
    values = (one if isinstance(one, tuple) else (one,) for one in content)
    return b"".join(struct.pack(form, *one) for one in values), len(content)


def xmp(descriptions: str, wrapped: bool = True, begin: str = "\ufeff") -> str:
    """Return a packet with these descriptions."""
    inner = f"{HEAD}{descriptions}</rdf:RDF>"
    if wrapped:
        inner = f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n{inner}\n</x:xmpmeta>'
    opening = f'<?xpacket begin="{begin}" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{opening}\n{inner}\n{" " * 50}\n<?xpacket end="w"?>'


def _jpeg() -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "jpeg")
    return file.getvalue()


JPEG = _jpeg()


def photo(exif: bytes = b"", xmp: bytes = b"") -> bytes:
    """Return a JPEG with what is given."""
    parts = [(b"Exif\0\0", exif), (b"http://ns.adobe.com/xap/1.0/\0", xmp)]
    segments = (
        b"\xff\xe1" + struct.pack(">H", 2 + len(name + part)) + name + part
        for name, part in parts
        if part
    )
    return JPEG[:2] + b"".join(segments) + JPEG[2:]
