import numpy as np
import pytest
from PIL import Image

from helpers import load_image


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


def test_heic_without_its_package_says_which_one(tmp_path):
    (tmp_path / "x.HEIC").write_bytes(b"not known to Pillow alone")
    with pytest.raises(OSError, match=r"x.HEIC: HEIC photos need a package: pip install"):
        load_image(tmp_path / "x.HEIC")
