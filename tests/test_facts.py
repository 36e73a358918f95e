import math
import os
import re
import struct
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, TiffTags
from PIL.TiffImagePlugin import IFDRational

from helpers.images import facts
from helpers.images.facts import facts_of
from helpers.images.pictures import read_image

from .support import metadata
from .support.odd_files import HEIC

BASE, GPS = ExifTags.Base, ExifTags.GPS
JUNE = int((datetime(2019, 6, 1, 12, 34, 56) - datetime(1970, 1, 1)).total_seconds())
PARIS = {1: "N", 2: (48.0, 51.0, 30.24), 3: "E", 4: (2.0, 21.0, 7.92)}
PACKET = (
    """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">
<rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
    + 50 * " "
)


def exif_of(original=None, place=None, details=None, **tags) -> Image.Exif:
    """Return EXIF: tags by their names, the date it was taken, a place."""
    exif = Image.Exif()
    for name, value in tags.items():
        exif[BASE[name]] = value
    details, parts = dict(details or {}), {}
    if original is not None:
        details[BASE.DateTimeOriginal] = original
    if details:
        parts[ExifTags.IFD.Exif] = details
    if place:
        parts[ExifTags.IFD.GPSInfo] = dict(place)
    for name, part in parts.items():
        exif.get_ifd(name).update(part)  # for TIFF
        exif[name] = part  # for the others
    return exif


def day(year: int, month: int = 1, number: int = 1) -> int:
    return (datetime(year, month, number) - datetime(1970, 1, 1)).days * 24 * 3600


def packet(elements: str = "", **attributes) -> bytes:
    written = " ".join(f'{name.replace("_", ":")}="{v}"' for name, v in attributes.items())
    return PACKET.format(attributes=written, elements=elements).encode()


def rationals(*pairs: tuple[int, int]) -> tuple[IFDRational, ...]:
    return tuple(IFDRational(*pair) for pair in pairs)


def saved(folder: Path, name: str = "x.jpg", exif=None, **options) -> dict:
    """Save a photo, and return what is read of it."""
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    if exif is not None:
        options["exif"] = exif
    image.save(folder / name, **options)
    found = read_image(folder / name)[1]
    return {name: found[name] for name in found if name not in ("width", "height", "digest")}


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("2019:06:01 12:34:56", JUNE),
        ("2019:06:01 12:34:56\0", JUNE),
        ("2019:06:01 12:34:56.789", JUNE),
        ("2019:06:01 12:34:56+02:00", JUNE),
        ("2019-06-01T12:34:56Z", JUNE),
        ("2019/06/01 12:34:56", JUNE),
        ("2019.06.01 12:34:56", JUNE),
        ("20190601123456", JUNE),
        ("2019: 6: 1 12:34:56", None),
        ("2019:6:1 12:34:56", JUNE),
        ("2019:06:01 12:34", JUNE - 56),
        ("2019:06:01", JUNE - 12 * 3600 - 34 * 60 - 56),
        ("2019:05:31 24:00:00", JUNE - 12 * 3600 - 34 * 60 - 56),
        ("1955:11:05 06:00:00", -446752800),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("", None),
        ("2019:02:30 12:00:00", None),
        ("2019:06:01 25:00:00", None),
        ("1904:01:01 00:00:00", None),
        ("1970:01:01 00:00:00", None),
        ("1980:01:01 00:00:00", None),
        ("0001:01:01 00:00:00", None),
        ("last summer", None),
        ("2019:06:01 12:34:56 CEST", JUNE),
        ("2019:06:01 12:34:56 GMT+02:00", JUNE),
        ("2019:06:01 12:34:56   :  ", JUNE),  # Olympus
        ("2019:06:01:12:34:56", JUNE),
        ("2019:6:1 1:2:3", day(2019, 6, 1) + 3723),
        ("20190601T123456", JUNE),
        ("2019:06:01 12:34:56 Europe/Berlin", JUNE),
        ("2019-06-01 12:34:56 (CEST)", JUNE),
        ("2019:06:01 12.34.56", JUNE),
        ("2019:06:01 12:34:56 PM", JUNE),
        ("2019:06:01 00:34:56 PM", JUNE),
        ("2019/6/1 12:34:56 p. m.", JUNE),
        ("2019:06:02 12:34:56 AM", JUNE + 12 * 3600),
        ("2019:06:01 12:34:56 AM", JUNE - 12 * 3600),
        ("2019:06:01 14:30:05 AM", day(2019, 6, 1) + 14 * 3600 + 30 * 60 + 5),
        ("2019:06:01 02:30:05 PM", day(2019, 6, 1) + 14 * 3600 + 30 * 60 + 5),
        ("2019:06:01 14:30:05下午", day(2019, 6, 1) + 14 * 3600 + 30 * 60 + 5),  # Huawei
        ("2019:06:01 02:30:05下午", day(2019, 6, 1) + 14 * 3600 + 30 * 60 + 5),
        ("2019:06:01 오후 02:30:05", None),
        ("٢٠١٩:٠٦:٠١ ١٢:٣٤:٥٦", JUNE),  # Android in Arabic
        ("2019:01:01 24:04:20", day(2019, 1, 1) + 260),  # Nokia
        ("2019:06:01 12:34:56 or so", None),
        ("2019:06:01 at noon", None),
        ("2019-W23", None),
        ("2019-152", None),
        ("1965", day(1965)),
        ("1965-07", day(1965, 7)),
        ("196507 ", day(1965, 7)),
        ("1965:07:00", day(1965, 7)),
        ("1965:00:00 00:00:00", day(1965)),
        ("1965:  :     :  :  ", day(1965)),
        ("1965:07:     :  :  ", day(1965, 7)),
        ("1965-13", None),
        ("1965, in summer", None),
        ("2019:06:01 12:34:56" + 200 * " ", JUNE),
        ("2019:06:01 12:34:56" + 9_999 * " " + "_", None),  # which is found at once
    ],
)
def test_dates_are_read_as_cameras_and_programs_write_them(tmp_path, written, taken):
    exif = exif_of(written.encode() if not written.isascii() else written)
    assert saved(tmp_path, exif=exif).get("taken") == taken


@pytest.mark.parametrize(
    ("written", "is_known"),
    [
        ("1904:01:01 00:00:07", False),
        ("1970:01:01 01:00:00", False),  # in Berlin
        ("1969:12:31 16:00:00", False),  # in California
        ("1969:12:31 11:59:59", True),  # nowhere
        ("1970:01:02 00:00:00", True),
        ("1980:01:01 00:07:31", False),
        ("1980:01:01 23:59:59", False),
        ("1979:12:31 19:00:00", False),
        ("1980:01:02 00:00:00", True),
        ("1899:12:30 00:00:00", False),
        ("2000:01:01 00:00:00", False),
        ("2000:01:01 00:00:01", True),  # of New Year's Eve
        ("1999:12:31 23:59:59", True),
        ("2002:12:08 12:00:00", False),  # Android, where the camera names no date
        ("2002:12:08 12:00:01", True),
        ("1980-01-01", False),
        ("1980", True),  # is what a person wrote, as a clock writes more
        ("1980-01", True),
        ("1980:00:00 00:00:00", True),
        ("2000", True),
    ],
)
def test_what_a_clock_shows_that_was_never_set_is_no_date(tmp_path, written, is_known):
    last = {"DateTime": "2019:06:01 12:34:56"}
    found = saved(tmp_path, exif=exif_of(written, **last))
    assert (found["taken"] != JUNE) == is_known


def test_the_offset_and_the_files_own_time_change_nothing(tmp_path):
    details = {BASE.OffsetTimeOriginal: "+09:00", BASE.SubsecTimeOriginal: "789"}
    assert saved(tmp_path, exif=exif_of("2019:06:01 12:34:56", details=details))["taken"] == JUNE
    saved(tmp_path, "y.jpg")
    os.utime(tmp_path / "y.jpg", (JUNE, JUNE))
    assert "taken" not in read_image(tmp_path / "y.jpg")[1]


def test_the_date_taken_comes_before_those_of_the_scan_xmp_and_the_last_change(tmp_path):
    digitised = {BASE.DateTimeDigitized: "2019:06:01 12:34:58"}
    said = packet(photoshop_DateCreated="2019-06-01T12:34:57")
    last = {"DateTime": "2019:06:01 12:34:59"}
    for number, (original, details, xmp, expected) in enumerate(
        [
            ("2019:06:01 12:34:56", digitised, said, 0),
            ("0000:00:00 00:00:00", digitised, said, 2),
            ("1904:01:01 00:00:00", {}, said, 1),
            (None, {}, said, 1),
            (None, {}, b"", 3),
        ]
    ):
        exif = exif_of(original, details=details, **last)
        found = saved(tmp_path, f"{number}.jpg", exif=exif, xmp=xmp)
        assert found["taken"] == JUNE + expected


DATES = {
    "exif_DateTimeOriginal": "2019-06-01T12:34:56",
    "photoshop_DateCreated": "2019-06-01T12:34:57",
    "exif_DateTimeDigitized": "2019-06-01T12:34:58",
    "xmp_CreateDate": "2019-06-01T12:34:59",
    "tiff_DateTime": "2019-06-01T12:35:00",
    "xmp_ModifyDate": "2019-06-01T12:35:01",
}


@pytest.mark.parametrize("first", range(len(DATES)))
def test_the_dates_of_xmp_are_read_in_the_order_of_those_of_exif(tmp_path, first):
    said = dict(list(DATES.items())[first:])
    later = {"xmp_MetadataDate": "2022-01-01"}
    assert saved(tmp_path, xmp=packet(**later, **said))["taken"] == JUNE + first


def test_when_a_picture_was_last_changed_is_asked_last(tmp_path):
    exif = exif_of(DateTime="2019:06:01 12:34:56")
    changed = {name: DATES[name] for name in ("tiff_DateTime", "xmp_ModifyDate")}
    assert saved(tmp_path, exif=exif, xmp=packet(**changed))["taken"] == JUNE
    scanned = packet(exif_DateTimeDigitized="1965")
    assert saved(tmp_path, exif=exif, xmp=scanned)["taken"] == day(1965)


@pytest.mark.parametrize("name", ["x.jpg", "x.tif"])
def test_the_date_of_a_tiff_ep_lies_beside_that_of_an_edit(tmp_path, name):
    edited = {"DateTimeOriginal": "2019:06:01 12:34:56", "DateTime": "2021:01:01 00:00:00"}
    scanned = {BASE.DateTimeDigitized: "2020:01:01 00:00:00"}
    assert saved(tmp_path, name, exif=exif_of(details=scanned, **edited))["taken"] == JUNE
    both = exif_of("2019:06:01 12:34:57", **edited)
    assert saved(tmp_path, name, exif=both)["taken"] == JUNE + 1


def test_the_recording_tells_what_its_preview_does_not():
    image = Image.new("RGB", (8, 8))
    image.getexif()[BASE.Model] = "preview"
    recorded = exif_of(DateTimeOriginal="2019:06:01 12:34:56", Model="Leica M8")
    recorded[BASE.XMLPacket] = packet(exif_GPSLatitude="48,51.504N", exif_GPSLongitude="2,21E")
    image.info[facts.RECORDED] = recorded
    found = facts_of(image)
    assert (found["taken"], found["camera"]) == (JUNE, "Leica M8")
    assert found["latitude"] == pytest.approx(48.8584)


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Apple", "iPhone 12", "iPhone 12"),
        ("Canon", "Canon EOS 5D Mark III", "Canon EOS 5D Mark III"),
        ("NIKON CORPORATION", "NIKON D750  \0\0\0", "NIKON D750"),
        ("samsung\0", "SM-G991B", "SM-G991B"),
        ("GoPro", "HERO9\n Black", "HERO9 Black"),
        ("EASTMAN KODAK COMPANY", "   ", "EASTMAN KODAK COMPANY"),
        (None, "\0", None),
        (None, "é" * 200, "é" * 128),
    ],
)
def test_a_camera_is_called_by_its_model_alone(tmp_path, make, model, camera):
    tags = {"Make": make, "Model": model}
    exif = exif_of(**{name: value for name, value in tags.items() if value})
    if camera == "é" * 128:  # EXIF itself is ASCII
        assert facts._name(model) == camera
    else:
        assert saved(tmp_path, exif=exif).get("camera") == camera


@pytest.mark.parametrize(
    ("written", "camera"),
    [
        ("红米 Note 8".encode(), "红米 Note 8"),
        ("Caméra".encode(), "Caméra"),
        ("Caméra à ".encode(), "Caméra à"),  # its last byte alone would be a blank
        ("Caméra".encode("cp1252"), "Caméra"),
        ("小米".encode("gbk"), "Ð¡Ã×"),  # no worse than before: it is not guessed
        (b"NIKON D750\0rubbish", "NIKON D750"),
    ],
)
@pytest.mark.parametrize("kind", [TiffTags.ASCII, TiffTags.BYTE, TiffTags.UNDEFINED])
def test_the_name_of_a_camera_is_read_as_utf_8_where_it_is(tmp_path, written, camera, kind):
    tiff = TiffImagePlugin.ImageFileDirectory_v2()
    tiff.tagtype[BASE.Model] = kind
    tiff[BASE.Model] = written
    exif = metadata.exif({BASE.Model: (kind, written)})
    assert saved(tmp_path, exif=b"Exif\0\0" + exif) == {"camera": camera}
    assert saved(tmp_path, "x.tif", tiffinfo=tiff) == {"camera": camera}


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (PARIS, (48.8584, 2.3522)),
        ({**PARIS, 1: "S", 3: "W"}, (-48.8584, -2.3522)),
        ({**PARIS, 1: b"s\0", 3: b"w\0"}, (-48.8584, -2.3522)),
        ({**PARIS, 2: (48.8584, 0, 0), 4: (2.0, 21.132, 0)}, (48.8584, 2.3522)),
        ({2: PARIS[2], 4: PARIS[4]}, (48.8584, 2.3522)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, None),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (9.0, 0.0, 0.0)}, (0, 9)),
        ({**PARIS, 2: tuple(IFDRational(0, 0) for _ in range(3))}, None),
        ({**PARIS, 2: (91.0, 0.0, 0.0)}, None),
        ({**PARIS, 4: (181.0, 0.0, 0.0)}, None),
        ({1: "N", 2: PARIS[2]}, None),
        ({**PARIS, 1: "South", 3: " west"}, (-48.8584, -2.3522)),
        ({**PARIS, 1: "\0", 3: " "}, (48.8584, 2.3522)),
        ({**PARIS, 1: "X"}, None),
        ({**PARIS, 1: "W", 3: "S"}, None),
        ({**PARIS, 2: rationals((33, 1), (51, 1), (0, 0)), 1: "S"}, (-33.85, 2.3522)),
        ({**PARIS, 2: rationals((33, 1), (5150, 100), (30, 0))}, (33.8583, 2.3522)),
        ({**PARIS, 2: rationals((33, 1), (0, 0), (0, 0))}, None),
        ({**PARIS, 2: rationals((1, 0), (6, 0), (36, 1))}, None),
        ({**PARIS, 2: (48.8584, 51.504, 30.24)}, None),
        ({29: "2019:06:01"}, None),
    ],
)
def test_places_are_degrees_north_and_east(tmp_path, place, expected):
    found = saved(tmp_path, exif=exif_of(place=place))
    where = found.get("latitude"), found.get("longitude")
    assert where == ((None, None) if expected is None else pytest.approx(expected, abs=1e-4))


@pytest.mark.parametrize(
    ("reference", "parts", "latitude"),
    [
        (b"S\0", (-33, 51, 30), -33.8583),
        (None, (-33, 51, 30), -33.8583),
        (b"N\0", (-33, 51, 30), 33.8583),  # the reference wins
        (b"S\0", (33, 51, 30), -33.8583),
        (None, (-33, -51, -30), -33.8583),
        (None, (0, -51, -30), -0.8583),
        (None, (33, -51, -30), None),
    ],
)
def test_a_sign_counts_for_minutes_and_seconds_too(tmp_path, reference, parts, latitude):
    gps = {2: (metadata.SIGNED, [(part, 1) for part in parts]), 4: (metadata.DOUBLE, [2.3522])}
    if reference:
        gps[1] = (metadata.ASCII, reference)
    found = saved(tmp_path, exif=b"Exif\0\0" + metadata.exif({}, gps=gps))
    assert found.get("latitude") == (latitude and pytest.approx(latitude, abs=1e-4))
    assert found.get("longitude") == (latitude and 2.3522)


def test_xmp_alone_is_read_as_attributes_and_as_elements(tmp_path):
    said = {
        "exif_DateTimeOriginal": "2019-06-01T12:34:56.789+02:00",
        "tiff_Make": "DJI",
        "tiff_Model": "FC3170",
        "exif_GPSLatitude": "48,51.504N",
        "exif_GPSLongitude": "2,21,7.92W",
    }
    elements = "".join(
        f"<{name.replace('_', ':')}>{value}</{name.replace('_', ':')}>"
        for name, value in said.items()
    )
    expected = {"taken": JUNE, "camera": "FC3170"}
    for name, xmp in (("a.jpg", packet(**said)), ("e.webp", packet(elements))):
        found = saved(tmp_path, name, xmp=xmp)
        assert (found.pop("latitude"), found.pop("longitude")) == pytest.approx(
            (48.8584, -2.3522), abs=1e-4
        )
        assert found == expected
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", packet(xmp_CreateDate="2019-06-01T12:34:56").decode())
    assert saved(tmp_path, "shot.png", pnginfo=text)["taken"] == JUNE
    tiff = TiffImagePlugin.ImageFileDirectory_v2()
    tiff[700] = packet(xmp_CreateDate="2019-06-01T12:34:56")
    assert saved(tmp_path, "scan.tif", tiffinfo=tiff)["taken"] == JUNE


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp", "x.tif", "x.avif"])
def test_every_format_that_keeps_exif_is_read(tmp_path, name):
    exif = exif_of("2019:06:01 12:34:56", PARIS, Model="iPhone 12", Orientation=6)
    found = saved(tmp_path, name, exif=exif)
    assert (found["taken"], found["camera"]) == (JUNE, "iPhone 12")
    assert found["latitude"] == pytest.approx(48.8584, abs=1e-4)
    assert read_image(tmp_path / name)[0].size == (30, 40)


def test_a_date_behind_the_pixels_of_a_png_is_read(tmp_path):
    saved(tmp_path, "x.png", exif=exif_of("2019:06:01 12:34:56", Model="iPhone 12"))
    data = (tmp_path / "x.png").read_bytes()
    start = data.index(b"eXIf") - 4
    length = 12 + struct.unpack(">I", data[start : start + 4])[0]
    chunk, rest = data[start : start + length], data[:start] + data[start + length :]
    (tmp_path / "x.png").write_bytes(rest[:-12] + chunk + rest[-12:])
    assert read_image(tmp_path / "x.png")[1]["taken"] == JUNE


def test_a_damaged_photo_that_is_mended_keeps_its_facts(tmp_path):
    saved(tmp_path, exif=exif_of("2019:06:01 12:34:56"))
    path = tmp_path / "x.jpg"
    path.write_bytes(path.read_bytes()[:-2])
    assert read_image(path)[1]["taken"] == JUNE


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as `pictures` does
def test_broken_metadata_counts_as_none(tmp_path):
    exif = exif_of("2019:06:01 12:34:56", PARIS, Model="iPhone 12").tobytes()
    for length in range(6, len(exif), 7):
        saved(tmp_path, exif=exif[:length])
        saved(tmp_path, exif=exif[:length] + b"\xff" * (len(exif) - length))
    for xmp in (b"", b"exif:GPSLatitude", packet(exif_GPSLatitude="&lol;"), b"\xff" * 99):
        assert saved(tmp_path, xmp=xmp) == {}
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a; DateCreated</x>'
    assert saved(tmp_path, xmp=bomb) == {}


@given(st.text(max_size=30) | st.from_regex(re.compile(r"[\d:\-/. T]{4,25}", re.ASCII)))
def test_any_text_is_a_date_or_none(text):
    seconds = facts._seconds(text)
    assert seconds is None or -4_544_380_800 <= seconds <= 253_402_387_199


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=4))
def test_any_numbers_are_a_place_or_none(numbers):
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {2: tuple(IFDRational(*pair) for pair in numbers), 4: (2.0, 0.0, 0.0)}
    )
    exif[BASE.Model] = "x"
    found = facts_of(image)
    assert {"latitude", "longitude"} & found.keys() in (set(), {"latitude", "longitude"})
    assert abs(found.get("latitude", 0)) <= 90
    assert math.isfinite(found.get("latitude", 0))


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"not an image")
    with pytest.raises(OSError, match=r"x\.jpg"):
        read_image(tmp_path / "x.jpg")


def test_heic_photos_tell_theirs(tmp_path):
    exif = exif_of("2019:06:01 12:34:56", PARIS, Model="iPhone 12").tobytes()
    item = struct.pack(">I", 6) + exif  # after how many bytes the TIFF begins
    box = struct.pack(">I", 8 + len(item)) + b"mdat" + item
    before, after = (
        struct.pack(">IHII", offset, 1, 0, length)
        for offset, length in ((543, 36), (len(HEIC) + 8, len(item)))
    )
    assert HEIC.count(before) == 1
    (tmp_path / "x.heic").write_bytes(HEIC.replace(before, after) + box)
    found = read_image(tmp_path / "x.heic")[1]
    assert (found["taken"], found["camera"]) == (JUNE, "iPhone 12")
    assert found["longitude"] == pytest.approx(2.3522, abs=1e-4)


@pytest.mark.parametrize("latitude", [b"\x30\x10\x05", (48.0, 99.0, 99.0), (48.0, -1.0, 0.0), ()])
def test_a_place_that_is_written_as_nobody_does_is_none(latitude):
    assert math.isnan(facts.or_else(math.nan, lambda: facts._angle(latitude, "N", "NS")))


@pytest.mark.parametrize(
    ("written", "reference", "latitude"),
    [
        ("33.5", None, 33.5),
        ("-33.5", None, -33.5),
        ("33.5S", None, -33.5),
        ("-33.5S", None, -33.5),
        ("33.5", "S", -33.5),  # Apple Photos
        ("33.5", "South", -33.5),
        ("-33.5", "S", -33.5),
        ("-33.5", "N", 33.5),
        ("33.5", "N", 33.5),
        ("33,30.0N", "S", -33.5),
        ("33,30.0S", "N", 33.5),
        ("33,30.0S", " ", -33.5),
        ("33,30,0s", None, -33.5),
        ("-33,30", None, -33.5),
        ("-0,30", None, -0.5),
        ("33 deg 30' 0.00\" S", None, -33.5),
        ("33 deg 30' 0.00\" South", None, -33.5),
        ("33 degrees 30'", "S", -33.5),
        ("33°30'0\"S", None, -33.5),
        ("33º 30′ 0″ S", None, -33.5),
        ("+33.5° N", None, 33.5),
        ("3.35e+1", None, 33.5),
        ("33,1,30/1S", None, None),
        ("33/1,30/1,0/1S", None, None),
        ("33.5 S, as I think", None, None),
        ("33.5, -70.1", None, None),
        ("33.5000,70.1000", None, None),
        ("33,691734,N", None, None),
        ("33,5000", None, None),
        ("\N{MINUS SIGN}33.5", None, None),
        ("33.5W", None, None),
        ("33.5", "E", None),
        ("33" + 90 * "\t deg" + "x", None, None),  # whose end is found at once
        ("nan", None, None),
        ("S", None, None),
    ],
)
def test_a_latitude_of_xmp_is_read_as_a_whole_or_not_at_all(written, reference, latitude):
    read = facts.or_else(math.nan, lambda: facts._angle(written, reference, "NS"))
    assert read == pytest.approx(math.nan if latitude is None else latitude, nan_ok=True)


def test_apple_photos_writes_west_beside_the_number(tmp_path):
    place = {"GPSLatitude": "28.18", "GPSLongitude": "14.16", "GPSLongitudeRef": "W"}
    said = {f"exif_{name}": value for name, value in place.items()}
    found = saved(tmp_path, xmp=packet(**said))
    assert found == {"latitude": 28.18, "longitude": -14.16}
    elements = "".join(f"<exif:{name}>{value}</exif:{name}>" for name, value in place.items())
    assert saved(tmp_path, xmp=packet(elements)) == found


OTHER = (
    '<rdf:Description {about} tiff:Model="Other" exif:GPSLatitude="1,2N" exif:GPSLongitude="1,2E">'
    "<exif:DateTimeOriginal>2001-01-01</exif:DateTimeOriginal></rdf:Description>"
)
MM = 'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'


@pytest.mark.parametrize("part", ["Pantry", "Ingredients", "History", "DerivedFrom"])
def test_what_a_photo_was_made_of_is_not_the_photo(tmp_path, part):
    for inner in (
        f"<rdf:Bag><rdf:li>{OTHER.format(about='')}</rdf:li></rdf:Bag>",
        '<rdf:li rdf:parseType="Resource"><tiff:Model>Other</tiff:Model></rdf:li>',
        OTHER.format(about=""),
    ):
        xmp = packet(f"<xmpMM:{part} {MM}>{inner}</xmpMM:{part}>")
        assert saved(tmp_path, xmp=xmp) == {}
        own = packet(f"<xmpMM:{part} {MM}>{inner}</xmpMM:{part}>", tiff_Make="Own")
        assert saved(tmp_path, xmp=own) == {"camera": "Own"}


def described(*attributes: str) -> bytes:
    """Return XMP of several descriptions, each with these attributes."""
    inner = "".join(f"<rdf:Description {one}/>" for one in attributes)
    before, after = packet().decode().split("<rdf:Description", 1)
    return (before + inner + after.partition("</rdf:Description>")[2]).encode()


WINDOWS = "uuid:faf5bdd5-ba3d-11da-ad31-d33d75182f1b"


@pytest.mark.parametrize(
    ("abouts", "camera"),
    [
        (['rdf:about=""', 'rdf:about="other.jpg"'], "Camera 0"),
        (['rdf:about="other.jpg"', 'rdf:about=""'], "Camera 1"),
        (['rdf:about="other.jpg"', ""], "Camera 1"),
        (['rdf:about="x.jpg"'], "Camera 0"),
        (['rdf:about="uuid:1-2-3"'], "Camera 0"),
        (["", f'rdf:about="{WINDOWS}"'], "Camera 1"),
    ],
)
def test_a_description_of_something_else_is_not_the_photos(tmp_path, abouts, camera):
    told = [f'{about} tiff:Model="Camera {number}"' for number, about in enumerate(abouts)]
    assert saved(tmp_path, xmp=described(*told)) == {"camera": camera}


def test_all_descriptions_of_a_photo_are_read(tmp_path):
    told = (
        'rdf:about="" xmp:ModifyDate="2022-01-01"',
        'rdf:about="" tiff:Model="Camera"',
        'rdf:about="" photoshop:DateCreated="1965-07"',
    )
    assert saved(tmp_path, xmp=described(*told)) == {"taken": day(1965, 7), "camera": "Camera"}


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("begin", ["", "\ufeff", None, '<?xml version="1.0" encoding="UTF-16"?>'])
def test_xmp_is_read_in_every_encoding(tmp_path, encoding, begin):
    text = packet(tiff_Model="红米 Note 8", photoshop_DateCreated="1965").decode()
    if begin is None or begin.startswith("<"):
        text = (begin or "") + text[text.index("<x:xmpmeta") : text.index("<?xpacket end")]
    else:
        text = text.replace('begin=""', f'begin="{begin}"')
    found = saved(tmp_path, xmp=text.encode(encoding))
    assert found == {"taken": day(1965), "camera": "红米 Note 8"}


def test_one_wrong_byte_of_xmp_does_not_hide_the_rest(tmp_path):
    xmp = packet(tiff_Model="红米", tiff_Make="Caf@", photoshop_DateCreated="1965")
    found = saved(tmp_path, xmp=xmp.replace(b"@", b"\xe9"))
    assert found == {"taken": day(1965), "camera": "红米"}


def test_xmp_needs_no_wrapper(tmp_path):
    xmp = packet(tiff_Model="Camera")
    bare = xmp[xmp.index(b"<rdf:RDF") : xmp.index(b"</x:xmpmeta>")]
    assert saved(tmp_path, xmp=bare) == {"camera": "Camera"}
