"""What a photo says about itself: when and where it was taken, and with which camera.

From EXIF and, where that is silent, from XMP; never from the file's own time.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from defusedxml import ElementTree
from PIL import Image
from PIL.ExifTags import IFD, Base

from .. import dates

RECORDED = "recorded"
"""Where the `info` of a preview has the EXIF of the recording itself."""

_ZEROS = {datetime(year, 1, 1) for year in (1904, 1970, 1980)}  # of clocks that were never set
_FIRST = 1826  # the year of the first photo
_LONGEST = 256  # bytes of a camera's name
_SEPARATED = r"(\d{4})[-:/.](\d{1,2})[-:/.](\d{1,2})(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?)?"
_COMPACT = r"(\d{4})(\d\d)(\d\d)(?:[T\s]?(\d\d)(\d\d)(\d\d)?)?"
_DATE = re.compile(rf"\s*(?:{_SEPARATED}|{_COMPACT})", re.ASCII)
_XMP = {
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal": "original",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated": "created",
    "{http://ns.adobe.com/xap/1.0/}CreateDate": "digitised",
    "{http://ns.adobe.com/tiff/1.0/}Model": "model",
    "{http://ns.adobe.com/tiff/1.0/}Make": "make",
    "{http://ns.adobe.com/exif/1.0/}GPSLatitude": "latitude",
    "{http://ns.adobe.com/exif/1.0/}GPSLongitude": "longitude",
}


def facts_of(image: Image.Image) -> dict[str, object]:
    """Return what an open image tells; what it does not tell is left out.

    - `taken`: seconds since 1970 by the camera's own clock, whatever its time zone.
    - `camera`: its model, or its maker if no model is named.
    - `latitude` and `longitude`: degrees, negative in the south and west; both or neither.

    Broken metadata counts as none.
    """
    exif = image.info.get(RECORDED) or or_else({}, image.getexif)
    details = or_else({}, lambda: exif.get_ifd(IFD.Exif))
    place = or_else({}, lambda: exif.get_ifd(IFD.GPSInfo))
    said = or_else({}, lambda: _read_xmp(image.info["xmp"]))
    taken = _first(
        _seconds,
        (details, Base.DateTimeOriginal, Base.DateTimeDigitized),
        (said, "original", "created", "digitised"),
        (exif, Base.DateTime),
    )
    camera = _first(_name, (exif, Base.Model, Base.Make), (said, "model", "make"))
    where = or_else({}, lambda: _place(_angle(place, 1), _angle(place, 3)))
    said_where = [said.get(name, "") for name in ("latitude", "longitude")]
    where = where or or_else({}, lambda: _place(*map(_angle_said, said_where)))
    facts = {"taken": taken, "camera": camera, **where}
    return {name: value for name, value in facts.items() if value is not None}


def or_else(empty: Any, read: Callable) -> Any:
    """Return what can be read; Pillow raises nearly anything on broken metadata."""
    try:
        return read()
    except Exception:
        return empty


def _first(read: Callable, *sources: tuple) -> Any:
    """Return the first value of these sources, each with its names, that can be read."""
    found = (read(values.get(name)) for values, *names in sources for name in names)
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
    time = timedelta(0, second, 0, 0, minute, hour)
    taken = or_else(None, lambda: datetime(year, month, day) + time)
    is_time = hour <= 24 and minute <= 59 and second <= 60
    is_set = taken and taken not in _ZEROS and taken.year >= _FIRST
    return dates.seconds(taken) if is_time and is_set else None


def _name(value: object) -> str | None:
    """Return a camera's name on one line, without what pads it."""
    words = "".join(c if c.isprintable() else " " for c in _text(value)).split()
    return " ".join(words).encode()[:_LONGEST].decode("utf-8", "ignore") or None


def _angle(place: Mapping, reference: int) -> float:
    """Return degrees from EXIF; after the tag of the reference (N, S, E, W) comes the number's."""
    return _degrees(place[reference + 1], _text(place.get(reference, "")))


def _angle_said(said: str) -> float:
    """Return degrees from XMP, such as 48,51.504N."""
    return _degrees(re.findall(r"[-+]?[\d.]+", said), said.strip()[-1:])


def _degrees(parts: Any, reference: str) -> float:
    """Return degrees of degrees, minutes and seconds, as many of them as there are."""
    parts = list(parts) if isinstance(parts, tuple | list) else [float(parts)]
    if not parts or any(not 0 <= float(part) <= 60 for part in parts[1:3]):
        return math.nan
    degrees = sum(float(part) / 60**place for place, part in enumerate(parts[:3]))
    return -abs(degrees) if reference.strip("\0 ").upper()[:1] in ("S", "W") else degrees


def _place(latitude: float, longitude: float) -> dict[str, float]:
    """Return a place; none if it is not on earth, or 0, 0, which phones write without a fix."""
    on_earth = abs(latitude) <= 90 and abs(longitude) <= 180  # not if it is nan
    is_fixed = on_earth and (latitude, longitude) != (0, 0)
    return {"latitude": latitude, "longitude": longitude} if is_fixed else {}


def _read_xmp(packet: bytes) -> dict[str, str]:
    said: dict[str, str] = {}
    for element in ElementTree.fromstring(packet.strip(b"\0 \t\r\n")).iter():
        for name, text in (*element.items(), (element.tag, element.text)):
            if name in _XMP and (text or "").strip():
                said.setdefault(_XMP[name], text)
    return said
