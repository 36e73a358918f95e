import hashlib
import re

import numpy as np
import pytest
from PIL import Image

from helpers import load_image
from helpers.images.pictures import content_digest, read_image


def _sixteen_bits(image):
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "convert"),
    [
        ("grey.png", lambda image: image.convert("L")),
        ("cmyk.jpg", lambda image: image.convert("CMYK")),
        ("sixteen.png", _sixteen_bits),
        ("alpha.png", lambda image: image.convert("RGBA")),
        ("bits.png", lambda image: image.convert("1")),
        ("palette.gif", lambda image: image.quantize(64)),
    ],
)
def test_any_kind_of_image_becomes_rgb_that_looks_the_same(tmp_path, photos, name, convert):
    image = Image.open(photos[0])
    convert(image).save(tmp_path / name)
    loaded = load_image(tmp_path / name)
    assert loaded.mode == "RGB"
    plain = image.convert("L") if name == "sixteen.png" else convert(image)
    difference = np.asarray(loaded, float) - np.asarray(plain.convert("RGB"), float)
    assert np.abs(difference).mean() < 6


def test_what_is_transparent_is_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.save(tmp_path / "clear.png")
    image.convert("P").save(tmp_path / "palette.png", transparency=0)
    assert load_image(tmp_path / "clear.png").getpixel((4, 4)) == (255, 255, 255)
    assert load_image(tmp_path / "palette.png").getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>", r"cannot be read as an image \(format not known\)"),
    ],
)
def test_a_file_that_is_no_image_is_named_with_the_reason(tmp_path, content, reason):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(OSError, match=f"bad.jpg: {reason}"):
        load_image(tmp_path / "bad.jpg")


def test_a_truncated_photo_is_an_error_and_not_half_a_picture(tmp_path, photos):
    content = photos[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"cut.jpg: cannot be read as an image"):
        load_image(tmp_path / "cut.jpg")


_exif = Image.Exif()
_exif[0x0112] = 6  # turn by 90 degrees to see it upright
EXIF_6 = _exif.tobytes()
XMP_6 = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/>'


@pytest.mark.parametrize("edge", [None, 60])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.jpg", {"exif": EXIF_6, "quality": 95}),
        ("x.png", {"exif": EXIF_6}),
        ("x.webp", {"exif": EXIF_6, "lossless": True}),
        ("x.avif", {"exif": EXIF_6, "quality": 95}),
        ("x.tif", {"tiffinfo": {0x0112: 6}}),
        ("lzw.tif", {"tiffinfo": {0x0112: 6}, "compression": "tiff_lzw"}),
        ("xmp.jpg", {"xmp": XMP_6, "quality": 95}),
        ("xmp.webp", {"xmp": XMP_6, "lossless": True}),
        ("xmp.tif", {"tiffinfo": {700: XMP_6}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lying_picture_is_turned_once_in_every_format(tmp_path, photos, name, options, edge):
    image = Image.open(photos[0]).convert("RGB")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / name, **options)
    shown, facts = read_image(tmp_path / name, edge)
    assert (facts["width"], facts["height"]) == image.size
    expected = image.resize(shown.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(shown, float) - np.asarray(expected, float)).mean() < 3


def test_a_palette_that_is_lying_is_turned(tmp_path, photos):
    image = Image.open(photos[0]).convert("RGB").quantize(64)
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "x.png", exif=EXIF_6)
    assert load_image(tmp_path / "x.png").tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize("exif", [b"rubbish", b"Exif\0\0rubbish", b"Exif\0\0MM\0*\0\0\0\x08\xff"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_data_leaves_the_picture_as_it_is(tmp_path, photos, exif):
    image = Image.open(photos[0]).convert("RGB")
    for name in ("x.jpg", "x.png"):
        image.save(tmp_path / name, exif=exif)
        assert read_image(tmp_path / name)[1]["width"] == image.width


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.webp", "x.avif"])
@pytest.mark.parametrize("first", [(0, 0, 0, 0), (0, 0, 0, 255), (90, 120, 90, 255)])
def test_an_animation_is_shown_by_its_first_frame_that_shows_something(
    tmp_path, photos, name, first
):
    image = Image.open(photos[0]).convert("RGBA")
    empty = Image.new("RGBA", image.size, first)
    last = image.transpose(Image.Transpose.ROTATE_180)
    empty.save(tmp_path / name, save_all=True, append_images=[empty, image, last])
    shown = load_image(tmp_path / name)
    difference = np.asarray(shown, float) - np.asarray(image.convert("RGB"), float)
    assert np.abs(difference).mean() < 12


def test_an_animation_of_which_no_frame_shows_anything_is_shown_by_its_first(tmp_path):
    black, white = (Image.new("RGB", (20, 20), colour) for colour in ("black", "white"))
    black.save(tmp_path / "x.webp", save_all=True, append_images=[white], lossless=True)
    assert load_image(tmp_path / "x.webp").getpixel((0, 0)) == (0, 0, 0)


def test_of_several_pages_the_first_is_shown_even_if_it_is_empty(tmp_path, photos):
    empty = Image.new("RGB", (20, 20), "blue")
    empty.save(tmp_path / "x.tif", save_all=True, append_images=[Image.open(photos[0])])
    assert load_image(tmp_path / "x.tif").getpixel((0, 0)) == (0, 0, 255)


def test_the_digest_tells_contents_apart_and_not_names(tmp_path, photos):
    (tmp_path / "copy.png").write_bytes(photos[0].read_bytes())
    digests = [read_image(path)[1]["digest"] for path in (photos[0], photos[1])]
    assert digests == [content_digest(path) for path in (tmp_path / "copy.png", photos[1])]
    assert re.fullmatch("[0-9a-f]{32}", digests[0])
    assert digests[0] != digests[1]
    expected = hashlib.blake2b(photos[0].read_bytes(), digest_size=16).hexdigest()
    assert digests[0] == expected


def test_an_image_in_memory_has_no_digest_and_is_left_as_it_was(photos):
    image = Image.open(photos[0]).convert("RGB")
    shown, facts = read_image(image)
    assert facts == {"width": 500, "height": 375}
    shown.paste("red", (0, 0, 500, 375))
    assert image.getpixel((0, 0)) != (255, 0, 0)


@pytest.mark.parametrize(
    ("mode", "first"),
    [
        *((mode, "L") for mode in ("L", "I", "F", "I;16")),
        *((mode, "RGB") for mode in ("HSV", "YCbCr", "CMYK", "RGBX")),
        *((mode, "RGBA") for mode in ("RGBA", "RGBa")),
        *((mode, "LA") for mode in ("LA", "La")),
        ("PA", "P"),
    ],
)
def test_an_image_in_memory_may_be_of_any_mode(photos, mode, first):
    image = Image.open(photos[0]).convert(first)
    shown = load_image(image.convert(mode))
    assert (shown.mode, shown.size) == ("RGB", (500, 375))
    expected = np.asarray(image.convert("RGB"), float)
    assert np.abs(np.asarray(shown, float) - expected).mean() < 4
