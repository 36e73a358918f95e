"""Formats of images, by their endings and by what files hold."""

import ast
import io
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

import helpers
from helpers import (
    Query,
    SearchPanel,
    image_grid,
    ingest,
    list_images,
    load_image,
    sample_images,
    search,
)
from helpers.images import formats
from helpers.images.pictures import noted_facts
from helpers.images.thumbnails import thumbnail_jpeg, whole_jpeg

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
EPS_OF_WINDOWS = struct.pack("<4s6IH", b"\xc5\xd0\xd3\xc6", 30, len(EPS), 0, 0, 0, 0, 0xFFFF) + EPS


def in_an_iptc_record(content: bytes) -> bytes:
    """Return a record whose picture Pillow opens as whatever it is."""
    fields = [
        (3, 60, b"\1\0"),
        (3, 20, b"\0\x0a"),
        (3, 30, b"\0\x0a"),
        (3, 120, b"\5"),
        (8, 10, content),
    ]
    return b"".join(struct.pack(">BBBH", 28, *at, len(data)) + data for *at, data in fields)


POSTSCRIPT = {"EPS": EPS, "for Windows": EPS_OF_WINDOWS, "IPTC": in_an_iptc_record(EPS)}


@pytest.fixture
def ghostscript(tmp_path, monkeypatch) -> Path:
    """A program called `gs` that leaves this file behind when it is started."""
    if os.name != "posix":
        pytest.skip("the program is a shell script")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gs").write_text(f"#!/bin/sh\ntouch '{folder}/started'\nexit 1\n")
    (folder / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # Pillow looks once a process
    return folder / "started"


@pytest.fixture(params=POSTSCRIPT)
def holiday(request, tmp_path, photos) -> Path:
    """PostScript that is called a photo, in a folder with a photo."""
    folder = tmp_path / "of holidays"
    folder.mkdir()
    photos[0].rename(folder / "beach.jpg")
    (folder / "holiday.jpg").write_bytes(POSTSCRIPT[request.param])
    return folder / "holiday.jpg"


def test_the_stand_in_is_started_by_pillow_itself(ghostscript, holiday):
    with pytest.raises(Exception, match="gs"):
        Image.open(holiday).load()
    assert ghostscript.exists()


@pytest.mark.parametrize(
    "look",
    [
        load_image,
        lambda path: load_image(path, 64),
        noted_facts,
        thumbnail_jpeg,
        lambda path: whole_jpeg(path, 64),
    ],
)
def test_no_file_starts_another_program(ghostscript, holiday, look):
    with pytest.raises(OSError, match=r"holiday\.jpg: cannot be read as an image"):
        look(holiday)
    assert not ghostscript.exists()


def test_no_photo_folder_starts_another_program(ghostscript, holiday, encoder, store):
    report = ingest(holiday.parent, encoder, store, progress=False)
    assert (report.inserted, [name for name, _ in report.skipped]) == (1, ["holiday.jpg"])
    assert [path.name for path in sample_images(holiday.parent, 2)] == ["beach.jpg"]
    assert "cannot be read" in image_grid([holiday]).data
    assert not ghostscript.exists()


def test_no_query_and_no_upload_starts_another_program(
    ghostscript, holiday, encoder, ingested, tmp_path
):
    weighted = Query(like=["a star", (holiday, 0.5)], unlike=[holiday])
    for query in (holiday, weighted, Query(like=["a star"], unlike=[holiday])):
        with pytest.raises(OSError, match=r"holiday\.jpg: cannot be read as an image"):
            search(query, encoder, ingested)
    panel = SearchPanel(encoder, ingested, upload_dir=tmp_path / "uploads")
    asked = {"ask": "upload", "name": "mine.jpg", "number": panel.results.number}
    panel.results._handle_custom_msg(
        asked | {"first": True, "last": True}, [memoryview(holiday.read_bytes())]
    )
    assert "mine.jpg: cannot be read as an image" in panel.message.value
    assert list((tmp_path / "uploads").iterdir()) == []
    assert not ghostscript.exists()


def test_what_pillow_is_to_open_is_named_wherever_it_opens():
    calls = [
        call
        for path in Path(helpers.__file__).parent.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Image.open"
    ]
    assert len(calls) == 1
    assert all("formats" in [word.arg for word in call.keywords] for call in calls)


def opened() -> set[str]:
    """Return the names by which Pillow knows the formats that are opened."""
    return {Image.registered_extensions().get(each, "") for each in formats.IMAGE_EXTENSIONS}


def test_only_formats_of_photos_are_opened():
    photos = {"JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "HEIF", "AVIF", "JXL"}
    assert opened() - {""} <= photos | {"JPEG2000", "PPM", "TGA", "PCX", "QOI"}


@pytest.mark.parametrize("content", [*POSTSCRIPT.values(), b"something else", b""])
def test_pillows_other_plug_ins_are_never_tried(tmp_path, photos, monkeypatch, content):
    def tried(file, name):
        pytest.fail("a plug-in of another format was tried")

    names = opened()
    for name, (_, accept) in Image.OPEN.items():
        if name not in names:
            monkeypatch.setitem(Image.OPEN, name, (tried, accept))
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(OSError, match=r"x\.jpg"):
        load_image(tmp_path / "x.jpg")
    load_image(photos[0])


def test_photos_are_opened_where_pillow_lacks_a_plug_in(photos, monkeypatch):
    opened()
    for name in ("HEIF", "AVIF", "JXL", "WEBP"):
        monkeypatch.setattr(Image, "ID", [each for each in Image.ID if each != name])
        monkeypatch.delitem(Image.OPEN, name, raising=False)
    load_image(photos[0])


def test_every_format_that_is_opened_is_known_by_its_content_not_its_name(tmp_path, photos):
    image = Image.open(photos[0]).convert("RGB")
    for name in sorted(opened() & Image.SAVE.keys() - {"JXL", "HEIF"}):
        image.save(tmp_path / "x.png", name)
        difference = np.asarray(load_image(tmp_path / "x.png"), float) - np.asarray(image, float)
        assert np.abs(difference).mean() < (20 if name == "GIF" else 6), name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (EPS, "it is EPS, PostScript; export it as JPEG"),
        (EPS_OF_WINDOWS, "it is EPS, PostScript; export it as JPEG"),
        (b"%PDF-1.7\n", "it is PDF; export it as JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is SVG; export it as JPEG"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>", "it is SVG; export it as JPEG"),
        (b"8BPS\0\1", "it is Photoshop's PSD; export it as JPEG"),
        (b"\xd7\xcd\xc6\x9a\0\0", "it is WMF, a metafile of Windows; export it as JPEG"),
        (
            b"\1\0\0\0".ljust(40, b"\0") + b" EMF",
            "it is WMF, a metafile of Windows; export it as JPEG",
        ),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "it is a video; only pictures are searched"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0", "it is a video; only pictures are searched"),
        (b"RIFF\x10\0\0\0AVI LIST", "it is a video; only pictures are searched"),
        (b"\x1aE\xdf\xa3\x9fB\x86", "it is a video; only pictures are searched"),
        (b"\0\0\1\xba\x44", "it is a video; only pictures are searched"),
    ],
)
def test_what_is_refused_says_which_format_it_is_whatever_its_name(tmp_path, content, said):
    for name in ("holiday.jpg", "holiday", "holiday.mov"):
        (tmp_path / name).write_bytes(content.ljust(600, b"\0"))
        with pytest.raises(
            OSError, match=rf"{name}: cannot be read as an image \({re.escape(said)}\)$"
        ):
            load_image(tmp_path / name)


def test_an_icon_is_not_taken_for_a_targa_which_begins_with_anything(tmp_path):
    """Read as a Targa, this one is 32 pixels wide and 2,088 high."""
    head = struct.pack("<3H4B2H2I", 0, 1, 1, 128, 128, 0, 0, 1, 32, 67_624, 22)
    (tmp_path / "x.jpg").write_bytes(head.ljust(67_646, b"\x55"))
    with pytest.raises(OSError, match="it is ICO, an icon of Windows"):
        load_image(tmp_path / "x.jpg")


def test_one_more_format_is_an_extension_more(tmp_path, monkeypatch, encoder, store):
    Image.effect_noise((40, 30), 80).save(tmp_path / "a.sgi")
    assert list_images(tmp_path) == []
    monkeypatch.setattr(formats, "IMAGE_EXTENSIONS", formats.IMAGE_EXTENSIONS | {".sgi"})
    assert ingest(tmp_path, encoder, store, progress=False).inserted == 1
    assert search("x", encoder, store)[0].filepath == "a.sgi"


def test_no_ending_is_both_opened_and_not_opened():
    assert not formats.IMAGE_EXTENSIONS & formats.NOT_OPENED.keys()
    for ending in (*formats.IMAGE_EXTENSIONS, *formats.NOT_OPENED):
        assert ending.startswith(".")
        assert ending == ending.lower()


@pytest.mark.parametrize(
    ("ending", "what_to_do"),
    [
        (".mp4", "only pictures"),
        (".mov", "only pictures"),
        (".psd", "export it as JPEG"),
        (".xcf", "export"),
    ],
)
def test_a_picture_or_video_that_is_not_opened_says_what_to_do(tmp_path, ending, what_to_do):
    assert formats.NOT_OPENED[ending].startswith(what_to_do)
    (tmp_path / f"x{ending}").write_bytes(b"something else")
    with pytest.raises(OSError, match=rf"cannot be read as an image \({what_to_do}"):
        load_image(tmp_path / f"x{ending}")


def test_without_the_optional_packages_their_names_are_what_to_do():
    script = (
        "import sys; sys.modules |= {'rawpy': None, 'pillow_jxl': None};"
        "from helpers.images.formats import *; ends = {'.nef', '.cr3', '.dng', '.jxl'};"
        "print(ends & IMAGE_EXTENSIONS, NOT_OPENED['.nef'], NOT_OPENED['.jxl'], sep='; ')"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stdout.strip() == "set(); pip install rawpy; pip install pillow-jxl-plugin"


def test_jpeg_xl_says_which_package_opens_it(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "IMAGE_EXTENSIONS", formats.IMAGE_EXTENSIONS - {".jxl"})
    monkeypatch.setitem(formats.NOT_OPENED, ".jxl", "pip install pillow-jxl-plugin")
    for beginning in (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"):
        (tmp_path / "x.jpg").write_bytes(beginning.ljust(100, b"\0"))
        with pytest.raises(OSError, match=r"it is JPEG XL; pip install pillow-jxl-plugin"):
            load_image(tmp_path / "x.jpg")


@pytest.mark.parametrize("name", ["x.jfif", "x.jpe", "x.pjpeg", "x.mpo", "x.tga", "x.jp2", "x.dib"])
def test_formats_that_people_have_are_listed_and_opened(tmp_path, photos, name):
    image = Image.open(photos[0]).convert("RGB")
    kinds = {".jfif": "JPEG", ".jpe": "JPEG", ".pjpeg": "JPEG", ".jp2": "JPEG2000"}
    kinds |= {".mpo": "MPO", ".tga": "TGA", ".dib": "DIB"}
    ending = name[1:]
    assert ending in formats.IMAGE_EXTENSIONS
    image.save(tmp_path / name, kinds[ending])
    difference = np.asarray(load_image(tmp_path / name), float) - np.asarray(image, float)
    assert np.abs(difference).mean() < 2


def test_jpeg_xl_is_read_upright_where_its_package_is_installed(tmp_path):
    pytest.importorskip("pillow_jxl")
    assert ".jxl" in formats.IMAGE_EXTENSIONS
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), "red").save(buffer, "JXL", exif=exif.tobytes(), lossless=True)
    (tmp_path / "x.jxl").write_bytes(buffer.getvalue())
    assert load_image(tmp_path / "x.jxl").size == (30, 20)
