"""What a photo says about itself: when and where it was taken, and with which camera.

From EXIF and, where that is silent, from XMP; never from the file's own time.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from defusedxml import ElementTree
from PIL import ExifTags, Image

from .. import dates
from .opening import RECORDED

_ZEROS = {datetime(year, 1, 1) for year in (1904, 1970, 1980)}  # of clocks that were never set
_FIRST = 1826  # the year of the first photo
_LONGEST = 256  # bytes of a camera's name
_SEPARATED = r"(\d{4})[-:/.](\d{1,2})[-:/.](\d{1,2})(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
_COMPACT = r"(\d{4})(\d\d)(\d\d)(?:[T\s]?(\d\d)(\d\d)(\d\d)?)?"
_DATE = re.compile(rf"\s*(?:{_SEPARATED}|{_COMPACT})", re.ASCII)
_ANGLE = re.compile(r"\s*([-+]?[\d.]+)(?:,([\d.]+))?(?:,([\d.]+))?\s*([NSEW]?)", re.IGNORECASE)
_XMP = {
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal": "original",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated": "created",
    "{http://ns.adobe.com/xap/1.0/}CreateDate": "digitised",
    "{http://ns.adobe.com/tiff/1.0/}Model": "model",
    "{http://ns.adobe.com/tiff/1.0/}Make": "make",
    "{http://ns.adobe.com/exif/1.0/}GPSLatitude": "latitude",
    "{http://ns.adobe.com/exif/1.0/}GPSLongitude": "longitude",
}
_SAID = tuple(name.split("}")[1].encode() for name in _XMP)


def facts_of(image: Image.Image) -> dict[str, object]:
    """Return what an open image tells; what it does not tell is left out.

    - `taken`: seconds since 1970 by the camera's own clock, whatever its time zone.
    - `camera`: its model, or its maker if no model is named.
    - `latitude` and `longitude`: degrees, negative in the south and west; both or neither.

    Broken metadata counts as none.
    """
    exif = image.info.get(RECORDED) or _or_else({}, image.getexif)
    if not exif and not _packet(image):
        return {}
    details = _or_else({}, lambda: exif.get_ifd(ExifTags.IFD.Exif)) if exif else {}
    place = _or_else({}, lambda: exif.get_ifd(ExifTags.IFD.GPSInfo)) if exif else {}
    names = ExifTags.Base
    taken = _first(_seconds, details, names.DateTimeOriginal, names.DateTimeDigitized)
    camera = _first(_name, exif, names.Model, names.Make)
    where = _or_else({}, lambda: _place(*_angles(place)))
    if taken is None or camera is None or not where:
        said = _or_else({}, lambda: _read_xmp(image))
        taken = _known(taken, _first(_seconds, said, "original", "created", "digitised"))
        camera = _known(camera, _first(_name, said, "model", "make"))
        where = where or _or_else(
            {}, lambda: _place(*map(_angle, (said["latitude"], said["longitude"])))
        )
    taken = _known(taken, _first(_seconds, exif, names.DateTime))
    facts = {"taken": taken, "camera": camera, **where}
    return {name: value for name, value in facts.items() if value is not None}


def _or_else(empty: Any, read: Callable) -> Any:
    """Return what can be read; Pillow raises nearly anything on broken metadata."""
    try:
        return read()
    except Exception:
        return empty


def _known(first: Any, second: Any) -> Any:
    return second if first is None else first


def _first(read: Callable, values: Mapping, *names: object) -> Any:
    """Return the first of these values that can be read."""
    found = (read(values[name]) for name in names if name in values)
    return next((value for value in found if value is not None), None)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> int | None:
    """Read a date in any of the ways that cameras and programs write it; None if there is none."""
    if not (match := _DATE.match(_text(value))):
        return None
    numbers = [int(number) for number in match.groups() if number is not None]
    year, month, day, hour, minute, second = (*numbers, 0, 0, 0)[:6]
    if hour > 24 or minute > 59 or second > 60:
        return None
    try:
        taken = datetime(year, month, day) + timedelta(0, second, 0, 0, minute, hour)
    except (ValueError, OverflowError):
        return None
    if taken in _ZEROS or taken.year < _FIRST:
        return None
    return dates.seconds(taken)


def _name(value: object) -> str | None:
    """Return a camera's name on one line, without what pads it."""
    words = "".join(c if c.isprintable() else " " for c in _text(value)).split()
    return " ".join(words).encode()[:_LONGEST].decode("utf-8", "ignore") or None


def _angles(place: Mapping) -> tuple[float, float]:
    return tuple(
        _degrees(place[number], _text(place.get(reference, "")))
        for reference, number in ((1, 2), (3, 4))  # EXIF's GPSLatitudeRef and so on
    )  # type: ignore[return-value]


def _degrees(parts: Any, reference: str) -> float:
    """Return degrees of degrees, minutes and seconds, as many of them as there are."""
    parts = list(parts) if isinstance(parts, tuple | list) else [float(parts)]
    if not parts or any(not 0 <= float(part) <= 60 for part in parts[1:3]):
        return math.nan
    degrees = sum(float(part) / 60**place for place, part in enumerate(parts[:3]))
    return -abs(degrees) if reference.strip("\0 ").upper()[:1] in ("S", "W") else degrees


def _angle(said: str) -> float:
    match = _ANGLE.match(said)
    if match is None:
        return math.nan
    *parts, reference = match.groups()
    return _degrees([part for part in parts if part], reference)


def _place(latitude: float, longitude: float) -> dict[str, float]:
    """Return a place; none if it is not on earth, or 0, 0, which phones write without a fix."""
    on_earth = abs(latitude) <= 90 and abs(longitude) <= 180  # not if it is nan
    if not on_earth or latitude == longitude == 0:
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _packet(image: Image.Image) -> bytes:
    """Return the XMP of an image; PNG and TIFF keep it under names of their own."""
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if not found and image.format == "TIFF":
        found = getattr(image, "tag_v2", {}).get(700)
    return found.encode() if isinstance(found, str) else found or b""


def _read_xmp(image: Image.Image) -> dict[str, str]:
    packet = _packet(image)
    if not any(name in packet for name in _SAID):
        return {}
    said: dict[str, str] = {}
    for element in ElementTree.fromstring(packet.strip(b"\0 \t\r\n")).iter():
        for name, text in (*element.items(), (element.tag, element.text)):
            if name in _XMP and (text or "").strip():
                said.setdefault(_XMP[name], text)
    return said
