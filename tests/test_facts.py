import math
import os
import re
import struct
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin
from PIL.TiffImagePlugin import IFDRational

from helpers.images import facts
from helpers.images.facts import facts_of
from helpers.images.pictures import read_image

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


def packet(elements: str = "", **attributes) -> bytes:
    written = " ".join(f'{name.replace("_", ":")}="{v}"' for name, v in attributes.items())
    return PACKET.format(attributes=written, elements=elements).encode()


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
    ],
)
def test_dates_are_read_as_cameras_and_programs_write_them(tmp_path, written, taken):
    assert saved(tmp_path, exif=exif_of(written)).get("taken") == taken


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
        ({29: "2019:06:01"}, None),
    ],
)
def test_places_are_degrees_north_and_east(tmp_path, place, expected):
    found = saved(tmp_path, exif=exif_of(place=place))
    where = found.get("latitude"), found.get("longitude")
    assert where == ((None, None) if expected is None else pytest.approx(expected, abs=1e-4))


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
    place = {**PARIS, 2: latitude}
    assert math.isnan(facts.or_else(math.nan, lambda: facts._degrees(place[2], "N")))


def test_a_sign_and_a_letter_mean_the_south_once():
    assert (
        facts._angle_said("-33.5S")
        == facts._angle_said("33.5S")
        == facts._angle_said("-33.5")
        == -33.5
    )
