"""500 made-up photos, read by us and by exiftool, which shares no line with what we read by.

Each photo is written with what its writer meant. Where exiftool reads something else, a rule in
words says why, and that is checked too: no rule may be there for nothing.
"""

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.images.facts import facts_of

from .support.metadata import ASCII, RATIONAL, SIGNED, exif, photo, xmp

PHOTOS = 500
OPTIONS = ("-q", "-q", "-fast2", "-j", "-n", "-G1", "-struct")
TAGS = ("-IFD0:all", "-ExifIFD:all", "-GPS:all", "-XMP:all", "-Composite:GPSL*")

RULES = {
    "a clock never set": "exiftool shows what a clock shows; we know when clocks begin",
    "a part of a date": "exiftool hands on a year or a month; we take its first second",
    "in words": "exiftool hands on AM, PM, a zone and other forms; we read them, or refuse",
    "no bytes of ours": "exiftool puts ? for what is not UTF-8; we keep the letters of Latin-1",
    "0, 0": "exiftool has it as a place; phones write it without a fix",
    "off the earth": "exiftool sums up whatever it finds; minutes end at 60, a latitude at 90",
    "no seconds": "exiftool drops a place whose seconds are 0/0; its degrees and minutes are right",
    "a signed place": "exiftool takes the minutes off negative degrees",
    "no reference": "exiftool names no side then; we take the sign",
    "a blank reference": "exiftool sees no S behind a blank",
    "another reference": "exiftool takes what is neither N nor S for the north",
    "a reference of XMP": "exiftool knows the letter of an XMP text only, as the standard has it",
    "a piece": "exiftool takes the first numbers of any text; we take the whole or nothing",
    "of another": "exiftool does not mind whom a description is about",
}


@dataclass
class Written:
    """What a tag was made to say, and why exiftool may read something else."""

    content: Any
    meant: Any
    rule: str | None = None


@dataclass
class MadeUp:
    """A photo: its bytes, and what was written where, by exiftool's names of tags."""

    content: bytes = b""
    dates: dict[str, Written] = field(default_factory=dict)
    cameras: dict[str, Written] = field(default_factory=dict)
    places: dict[str, Written] = field(default_factory=dict)


DATES = {
    "ExifIFD:DateTimeOriginal": 0x9003,
    "IFD0:DateTimeOriginal": 0x9003,
    "ExifIFD:CreateDate": 0x9004,
    "XMP-exif:DateTimeOriginal": "exif:DateTimeOriginal",
    "XMP-photoshop:DateCreated": "photoshop:DateCreated",
    "XMP-exif:DateTimeDigitized": "exif:DateTimeDigitized",
    "XMP-xmp:CreateDate": "xmp:CreateDate",
    "IFD0:ModifyDate": 0x0132,
    "XMP-tiff:DateTime": "tiff:DateTime",
    "XMP-xmp:ModifyDate": "xmp:ModifyDate",
}
"""In the order in which they are asked."""
CAMERAS = {
    "IFD0:Model": 0x0110,
    "IFD0:Make": 0x010F,
    "XMP-tiff:Model": "tiff:Model",
    "XMP-tiff:Make": "tiff:Make",
}
CLOCKS = [datetime(1904, 1, 1), datetime(1970, 1, 1), datetime(1980, 1, 1)]


def seconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1)).total_seconds())


def a_date(chance: random.Random, of_xmp: bool) -> Written:
    """Write a date in one of many ways, old and new."""
    moment = datetime(1850, 1, 3) + timedelta(seconds=chance.randrange(170 * 365 * 86400))
    sep, middle = ("-", "T") if of_xmp else (":", " ")
    plain = f"%Y{sep}%m{sep}%d{middle}%H:%M:%S"
    full = [plain, plain + ".789", plain + "+09:00", plain + "Z", "%Y/%m/%d %H:%M:%S"]
    words = [f"%Y{sep}%m{sep}%d{middle}%I:%M:%S {half}" for half in ("%p", "%p+02:00")]
    kind = chance.randrange(12)
    if kind < 5:
        rule = "in words" if "/" in full[kind] else None
        return Written(written(moment, full[kind]), seconds(moment), rule)
    if kind < 7:
        return Written(written(moment, words[kind - 5]), seconds(moment), "in words")
    if kind == 7:
        start = chance.choice(CLOCKS) + timedelta(seconds=chance.randrange(-43200, 86400))
        return Written(written(start, plain), None, "a clock never set")
    if kind == 8:
        text = chance.choice(["%Y", f"%Y{sep}00{sep}00", f"%Y{sep}%m"])
        month = moment.month if "%m" in text else 1
        return Written(
            written(moment, text), seconds(datetime(moment.year, month, 1)), "a part of a date"
        )
    if kind == 9:
        return Written(chance.choice(["last summer", "1965 or so"]), None)
    if kind == 10:
        return Written(chance.choice(["0000:00:00 00:00:00", "    :  :     :  :  ", ""]), None)
    return Written(written(moment, plain), seconds(moment))


def written(moment: datetime, form: str) -> str:
    return moment.strftime(form.replace("%Y", f"{moment.year:04}"))


def a_camera(chance: random.Random, of_xmp: bool) -> Written:
    name = chance.choice(["NIKON D750", "红米 Note 8", "Caméra", "iPhone 12", "HERO9 Black", ""])
    if of_xmp:
        return Written(name, name or None)
    content = name.encode() + chance.choice([b"", b"\0", b"  \0\0", b"\0rubbish"])
    if name == "Caméra" and chance.random() < 0.5:
        return Written(name.encode("latin-1") + b"\0", name, "no bytes of ours")
    return Written(content, name or None)


def sexagesimal(value: float) -> tuple[int, int, float]:
    """Return degrees, minutes and hundredths of seconds."""
    hundredths = round(value * 360_000)
    return hundredths // 360_000, hundredths // 6000 % 60, hundredths % 6000


def a_place_of_exif(chance: random.Random) -> Written:
    """Write a place as GPS tags: references, latitude and longitude."""
    where = [chance.uniform(1, limit) * chance.choice([1, -1]) for limit in (89, 179)]
    where = [round(value * 360_000) / 360_000 for value in where]
    sides = ["NS"[where[0] < 0], "EW"[where[1] < 0]]
    parts = [sexagesimal(abs(value)) for value in where]
    kind, rule, meant = RATIONAL, None, where
    numbers = [[(d, 1), (m, 1), (s, 100)] for d, m, s in parts]
    ends = ["\0", "", "\0\0"]
    match chance.randrange(16):
        case 0:
            numbers = [[(d, 1), (m * 6000 + s, 6000), (0, 1)] for d, m, s in parts]
        case 1:
            numbers = [[(round(abs(value) * 360_000), 360_000)] for value in where]
        case 2:
            sides = [side.lower() for side in sides]
        case 3:
            sides = [{"N": "North", "S": "South", "E": "East", "W": "West"}[s] for s in sides]
        case 4:
            sides, rule = [f" {side}" for side in sides], "a blank reference"
            rule = rule if min(where) < 0 else None
        case 5:
            sides, meant, rule = ["X", "E"], None, "another reference"
        case 6:
            kind, rule = SIGNED, "a signed place" if min(where) < 0 else None
            numbers = [
                [(-d if value < 0 else d, 1), (m, 1), (s, 100)]
                for value, (d, m, s) in zip(where, parts, strict=True)
            ]
        case 7:
            kind, sides, rule = SIGNED, [], "no reference"
            numbers = [
                [(-d if value < 0 else d, 1), (m, 1), (s, 100)]
                for value, (d, m, s) in zip(where, parts, strict=True)
            ]
        case 8:
            numbers[0][2], rule = (0, 0), "no seconds"
            sign = -1 if where[0] < 0 else 1
            meant = [sign * (parts[0][0] + parts[0][1] / 60), where[1]]
        case 9:
            numbers, meant = [[(0, 0), (0, 0), (0, 0)]] * 2, None
        case 10:
            numbers, meant, rule = [[(0, 1), (0, 1), (0, 1)]] * 2, None, "0, 0"
        case 11:
            numbers[0][1], meant, rule = (99, 1), None, "off the earth"
        case 12:
            numbers[1][0], meant, rule = (181, 1), None, "off the earth"
    tags: dict[int, tuple] = {2: (kind, numbers[0]), 4: (kind, numbers[1])}
    for tag, side in zip((1, 3), sides, strict=False):
        tags[tag] = (ASCII, (side + chance.choice(ends)).encode())
    return Written(tags, meant, rule)


def a_place_of_xmp(chance: random.Random) -> Written:
    """Write a place as properties of XMP."""
    where = [chance.uniform(1, limit) * chance.choice([1, -1]) for limit in (89, 179)]
    where = [round(value * 360_000) / 360_000 for value in where]
    sides = ["NS"[where[0] < 0], "EW"[where[1] < 0]]
    dms = [(d, m, s / 100) for d, m, s in (sexagesimal(abs(value)) for value in where)]
    references: list[str] = []
    rule, meant = None, where
    match chance.randrange(9):
        case 0 | 1:
            texts = [f"{d},{m + s / 60:.8f}{x}" for (d, m, s), x in zip(dms, sides, strict=True)]
        case 2:
            texts = [f"{d},{m},{s:.2f}{x}" for (d, m, s), x in zip(dms, sides, strict=True)]
        case 3:
            texts = [f"{d} deg {m}' {s:.2f}\" {x}" for (d, m, s), x in zip(dms, sides, strict=True)]
        case 4:
            texts = [f"{d}°{m}'{s:.2f}\"{x}" for (d, m, s), x in zip(dms, sides, strict=True)]
        case 5:
            texts = [f"{value:.9f}" for value in where]
        case 6:
            texts, references = [f"{abs(value):.9f}" for value in where], sides
            rule = "a reference of XMP" if min(where) < 0 else None
        case 7:
            texts = [f"{abs(value):.5f}{x}, about" for value, x in zip(where, sides, strict=True)]
            meant, rule = None, "a piece"
        case _:
            texts, meant, rule = ["0,0.0N", "0,0.0E"], None, "0, 0"
    names = ["exif:GPSLatitude", "exif:GPSLongitude"]
    said = dict(zip(names, texts, strict=True))
    said |= dict(zip([f"{name}Ref" for name in names], references, strict=False))
    return Written(said, meant, rule)


def a_packet(chance: random.Random, said: Mapping[str, str], other: Mapping[str, str]) -> bytes:
    """Write XMP as programs do: in any form, order and encoding, with what is not the photo's."""
    about = ' rdf:about=""' if chance.random() < 0.8 else ""
    items = list(said.items())
    chance.shuffle(items)
    parts = [items[start::3] for start in range(3)] if chance.random() < 0.4 else [items]
    texts = [described(chance, part, about) for part in parts]
    if chance.random() < 0.5:
        texts.insert(chance.randrange(len(texts) + 1), nested(chance))
    if other:
        texts.append(described(chance, list(other.items()), ' rdf:about="other.jpg"'))
    text = xmp("\n".join(texts), wrapped=chance.random() < 0.8)
    return text.encode(chance.choice(["utf-8", "utf-8", "utf-16-le", "utf-16-be"]))


def described(chance: random.Random, items: list[tuple[str, str]], about: str) -> str:
    """Write a description, its properties as attributes or as elements."""
    attributes, elements = "", ""
    for name, text in items:
        if chance.random() < 0.5:
            attributes += f' {name}="{escape(text)}"'
        else:
            elements += f"<{name}>{escape(text)}</{name}>\n"
    return f"<rdf:Description{about}{attributes}>\n{elements}</rdf:Description>"


def nested(chance: random.Random) -> str:
    """Write what a collage was made of, and from what it was derived."""
    other = (
        'tiff:Model="Other" exif:DateTimeOriginal="2001-02-03T04:05:06" '
        'exif:GPSLatitude="1,2N" exif:GPSLongitude="3,4E"'
    )
    part = chance.choice(["Pantry", "Ingredients", "DerivedFrom", "History"])
    inner = f"<rdf:Bag><rdf:li><rdf:Description {other}/></rdf:li></rdf:Bag>"
    if part == "DerivedFrom":
        inner = f"<rdf:Description {other}/>"
    return f'<rdf:Description rdf:about=""><xmpMM:{part}>{inner}</xmpMM:{part}></rdf:Description>'


def made_up(chance: random.Random) -> MadeUp:
    made = MadeUp()
    for names, known, write in ((DATES, made.dates, a_date), (CAMERAS, made.cameras, a_camera)):
        for name in names:
            if chance.random() < 0.3:
                known[name] = write(chance, name.startswith("XMP"))
    if chance.random() < 0.6:
        made.places["GPS"] = a_place_of_exif(chance)
    if chance.random() < 0.4:
        made.places["XMP-exif"] = a_place_of_xmp(chance)
    other = {}
    if "XMP-tiff:Model" not in made.cameras and chance.random() < 0.1:
        other = {"tiff:Model": "Other"}
    made.content = photo(*contents(chance, made, other))
    if other:
        made.cameras["XMP-tiff:Model"] = Written("Other", None, "of another")
    return made


def contents(chance: random.Random, made: MadeUp, other: dict[str, str]) -> tuple[bytes, bytes]:
    """Return the EXIF and the XMP of a photo."""
    ifd0: dict[int, Any] = {}
    details: dict[int, Any] = {}
    said: dict[str, str] = {}
    for name, one in (made.dates | made.cameras).items():
        tag = (DATES | CAMERAS)[name]
        if isinstance(tag, str):
            said[tag] = one.content
        else:
            text = one.content if isinstance(one.content, bytes) else one.content.encode() + b"\0"
            (details if name.startswith("ExifIFD") else ifd0)[tag] = (ASCII, text or b"\0")
    gps = made.places["GPS"].content if "GPS" in made.places else {}
    if "XMP-exif" in made.places:
        said |= made.places["XMP-exif"].content
    structure = exif(ifd0, details, gps, chance.choice("<>")) if ifd0 or details or gps else b""
    return structure, a_packet(chance, said, other) if said or other else b""


def date_of(tags: Mapping[str, Any], name: str) -> int | None:
    """Return a date that exiftool has understood, in seconds."""
    form = r"(\d{4}:\d\d:\d\d \d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)?"
    match = re.fullmatch(form, str(tags.get(name, "")))
    try:
        return seconds(datetime.strptime(match[1], "%Y:%m:%d %H:%M:%S")) if match else None
    except ValueError:
        return None


def camera_of(tags: Mapping[str, Any], name: str) -> str | None:
    return str(tags.get(name, "")) or None


def place_of(tags: Mapping[str, Any], name: str) -> list[float] | None:
    """Return a place; exiftool's own combination of a number and its reference, if it has one."""
    names = [f"{name}:GPSLatitude", f"{name}:GPSLongitude"]
    if "" in [tags.get(one, "") for one in names]:
        return None
    if name == "GPS":
        names = [one.replace("GPS:", "Composite:") for one in names]
    found = [tags.get(one) for one in names]
    return None if None in found else [float(one) for one in found]  # type: ignore[arg-type]


def as_close(value: Any) -> Any:
    return pytest.approx(value, abs=1e-6) if isinstance(value, list) else value


def explained(
    known: Mapping[str, Written], order: list[str], read: Callable[[str], Any]
) -> Iterator[tuple[Any, str | None]]:
    """Yield what exiftool reads in this order; what was meant, and why, where a rule says so."""
    for name in order:
        found = read(name)
        if name not in known:
            assert found is None, name
            continue
        one = known[name]
        if one.rule is None:
            assert found == as_close(one.meant), (name, one)
        else:
            assert found != as_close(one.meant), (name, one)
        yield (one.meant, one.rule) if one.rule else (found, None)


@pytest.fixture(scope="module")
def exiftool() -> str:
    program = shutil.which("exiftool")
    if program is None and not os.environ.get("REQUIRE_EXIFTOOL"):  # as in CI
        pytest.skip("exiftool is not installed")
    assert program, "install exiftool: apt install libimage-exiftool-perl"
    return program


def test_exiftool_reads_the_same_of_500_made_up_photos(exiftool, tmp_path):
    chance = random.Random(30)
    photos = {f"{number:03}.jpg": made_up(chance) for number in range(PHOTOS)}
    for name, made in photos.items():
        (tmp_path / name).write_bytes(made.content)
    command = [exiftool, *OPTIONS, *TAGS, str(tmp_path)]
    told = json.loads(subprocess.check_output(command, encoding="utf-8"))
    by_name = {Path(tags["SourceFile"]).name: tags for tags in told}
    assert by_name.keys() == photos.keys()
    used: set[str | None] = set()
    for name, made in photos.items():
        tags = by_name[name]
        with Image.open(tmp_path / name) as image:
            ours = facts_of(image)
        where = [ours[part] for part in ("latitude", "longitude") if part in ours]
        for mine, known, order, read in (
            (ours.get("taken"), made.dates, list(DATES), date_of),
            (ours.get("camera"), made.cameras, list(CAMERAS), camera_of),
            (where or None, made.places, ["GPS", "XMP-exif"], place_of),
        ):
            theirs = list(explained(known, order, partial(read, tags)))
            used |= {rule for _, rule in theirs}
            first = next((value for value, _ in theirs if value is not None), None)
            assert mine == as_close(first), (name, known, tags)
    assert used - {None} == RULES.keys()
