"""What a photo says about itself: when and where it was taken, and with which camera.

From EXIF and, where that is silent, from XMP; never from the file's own time.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from json import detect_encoding
from typing import Any

from defusedxml import ElementTree
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from .. import dates

RECORDED = "recorded"
"""Where the `info` of a preview has the EXIF of the recording itself."""

_FIRST = 1826  # the year of the first photo
_LONGEST = 256  # bytes of a camera's name
_STARTS = [datetime(year, 1, 1) for year in (1904, 1970, 1980)]  # from which clocks run
# What programs, cameras and Android write where they have no date
_NEVER = {datetime(1899, 12, 30), datetime(2000, 1, 1), datetime(2002, 12, 8, 12)}
_SHORT = r"(?=[\s\S]{0,99}\Z)\s*"  # else what is odd could be searched for ever
_DAY = r"(\d{4})(?:[-:/.]?(\d{1,2}))?(?:[-:/.]?(\d{1,2}))?"
_TIME = r"[T\s:]*(\d{1,2})[:.]?((?<=[:.])\d{1,2}|\d\d)(?:[:.]?(\d{1,2}))?(?:[.,:]\d*)?"
_HALF = r"(?:(a\.?\s?m\b|上午|午前|오전)|(p\.?\s?m\b|下午|午後|오후))?\.?"
_ZONE = r"\(?(?:[a-z]{0,4}|[a-z]+/[a-z_/]+)\)?\s*(?:[-+]\d{1,2}(?::?\d\d)?)?"
_DATE = re.compile(rf"{_SHORT}{_DAY}(?:{_TIME}\s*{_HALF})?\s*{_ZONE}\W*", re.I)
_NUMBER = r"\d+\.?\d*(?:e[-+]\d+)?"
_MARK = r"(?:deg(?:rees?)?|[\s,;:°º'′’\"″”])"  # stand between degrees, minutes and seconds
_NEXT = rf"(?:{_MARK}+({_NUMBER}))?"
_ANGLE = re.compile(rf"{_SHORT}([-+]?{_NUMBER}){_NEXT}{_NEXT}{_MARK}*([nsew]?)[a-z]*\s*", re.I)
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_EXIF, _PHOTOSHOP, _TIFF, _XMP = (
    f"{{http://ns.adobe.com/{name}/1.0/}}" for name in ("exif", "photoshop", "tiff", "xap")
)
_WINDOWS = "uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"  # calls every photo so


def facts_of(image: Image.Image) -> dict[str, object]:
    """Return what an open image tells; what it does not tell is left out.

    - `taken`: seconds since 1970 by the camera's own clock, whatever its time zone. Of several
      dates, that of the picture comes before those of its scan and of its last change. A year or
      a month alone counts as its first second.
    - `camera`: its model, or its maker if no model is named.
    - `latitude` and `longitude`: degrees, negative in the south and west; both or neither.

    Broken metadata counts as none, and so does what a clock shows that was never set.
    """
    exif = image.info.get(RECORDED) or or_else({}, image.getexif)
    details = or_else({}, lambda: exif.get_ifd(IFD.Exif))
    place = or_else({}, lambda: exif.get_ifd(IFD.GPSInfo))
    said = or_else({}, lambda: _said(image.info.get("xmp") or exif[Base.XMLPacket]))
    taken = _first(
        _seconds,
        (details, Base.DateTimeOriginal),
        (exif, Base.DateTimeOriginal),  # where TIFF/EP has it, which most recordings are
        (details, Base.DateTimeDigitized),
        (said, f"{_EXIF}DateTimeOriginal", f"{_PHOTOSHOP}DateCreated"),
        (said, f"{_EXIF}DateTimeDigitized", f"{_XMP}CreateDate"),
        (exif, Base.DateTime),
        (said, f"{_TIFF}DateTime", f"{_XMP}ModifyDate"),
    )
    camera = _first(_name, (exif, Base.Model, Base.Make), (said, f"{_TIFF}Model", f"{_TIFF}Make"))
    where = or_else({}, lambda: _place(place, GPS.GPSLatitude, GPS.GPSLongitude, -1))
    names = (f"{_EXIF}GPSLatitude", f"{_EXIF}GPSLongitude", "Ref")
    where = where or or_else({}, lambda: _place(said, *names))
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
    """Return a text up to its end as C has it; empty if it is none.

    EXIF's is ASCII by the book, Pillow reads it as Latin-1, and cameras write UTF-8. What is not
    UTF-8 either stays as Pillow reads it.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    text = text.partition("\0")[0] if isinstance(text, str) else ""
    return or_else(text, lambda: text.encode("latin-1").decode("utf-8")).strip()


def _seconds(value: object) -> int | None:
    """Read a date in any of the ways that cameras and programs write it; None if there is none.

    Zeros and blanks stand for a month or a day that is not known. 24:00:00 is the end of its day,
    as in ISO 8601; 24:04 is the first hour of its day, as phones write it.
    """
    if not (match := _DATE.fullmatch(_text(value))):
        return None
    *numbers, morning, afternoon = match.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    hour = hour % 12 + 12 * bool(afternoon) if afternoon or (morning and hour == 12) else hour
    since = timedelta(hours=hour % 24 if minute or second else hour, minutes=minute, seconds=second)
    taken = or_else(None, lambda: datetime(year, month or 1, day or 1) + since)
    is_time = hour <= 24 and minute <= 59 and second <= 60
    is_known = taken and taken.year >= _FIRST and (not day or _is_set(taken))
    return dates.seconds(taken) if is_time and is_known else None


def _is_set(clock: datetime) -> bool:
    """Tell if a clock was ever set; else it runs from where all begin, in whatever time zone.

    Whoever remembers no more than the year 1980 does not write its first day.
    """
    runs_on = any(timedelta(hours=-12) <= clock - start < timedelta(days=1) for start in _STARTS)
    return not runs_on and clock not in _NEVER


def _name(value: object) -> str | None:
    """Return a camera's name on one line, without what pads it."""
    words = "".join(c if c.isprintable() else " " for c in _text(value)).split()
    return " ".join(words).encode()[:_LONGEST].decode("utf-8", "ignore") or None


def _place(values: Mapping, latitude: Any, longitude: Any, reference: Any) -> dict[str, float]:
    """Return a place; none if it is not on earth, or 0, 0, which phones write without a fix.

    Added to the name of a number, `reference` makes that of its N, S, E or W.
    """
    north = _angle(values[latitude], values.get(latitude + reference), "NS")
    east = _angle(values[longitude], values.get(longitude + reference), "EW")
    is_on_earth = abs(north) <= 90 and abs(east) <= 180 and (north, east) != (0, 0)  # not if nan
    return {"latitude": north, "longitude": east} if is_on_earth else {}


def _angle(value: Any, reference: object, sides: str) -> float:
    """Return degrees of degrees, minutes and seconds, as many of them as there are; else nan.

    A text is such as 48,51.504N. The reference tells the side, else the letter, else a sign,
    before the degrees alone or before each number. What tells another side is no angle.
    """
    letter = ""
    if isinstance(value, str | bytes):
        match = _ANGLE.fullmatch(_text(value))
        *value, letter = match.groups("0") if match else ("nan", "")
    parts = [float(part) for part in (value if isinstance(value, tuple | list) else [value])]
    degrees, minutes, seconds = (abs(part) for part in (*parts, 0.0, 0.0)[:3])
    side = (_text(reference) or letter)[:1].upper()
    is_odd = parts[0] > 0 > min(parts) or (degrees % 1 and minutes)
    if is_odd or side not in sides or not minutes <= 60 or seconds > 60:
        return math.nan
    angle = degrees + minutes / 60 + (0 if math.isnan(seconds) else seconds) / 3600
    is_negative = side == sides[1] if side else any(math.copysign(1, part) < 0 for part in parts)
    return -angle if is_negative else angle


def _said(packet: bytes) -> dict[str, str]:
    """Return what XMP says about the photo itself, not about what that was made of."""
    text = or_else(packet.decode("latin-1"), lambda: packet.decode(detect_encoding(packet)))
    rdf = next(ElementTree.fromstring(text.strip("\ufeff\0 \t\r\n")).iter(f"{_RDF}RDF"))
    own = {min(element.get(f"{_RDF}about", "") for element in rdf), _WINDOWS}
    said: dict[str, str] = {}
    for element in rdf:
        if element.get(f"{_RDF}about", "") in own:
            said |= dict(element.items()) | {child.tag: child.text or "" for child in element}
    return said
