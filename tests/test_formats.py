"""Formats of images, by their endings."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from helpers import ingest, list_images, load_image, search
from helpers.images import formats


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
