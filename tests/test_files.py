import os

import numpy as np
import pytest
from PIL import Image

from helpers import ingest, list_images, load_image, sample_images, search
from helpers.images import files

from .support.processes import unprivileged


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


def test_images_are_listed_in_order_whatever_their_extensions_case(tmp_path):
    for name in ["b/2.JPG", "b/1.jpeg", "a.PNG", "c.txt", ".hidden.jpg", ".git/x.jpg", "d.WebP"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)]
    assert names == ["a.PNG", "b/1.jpeg", "b/2.JPG", "d.WebP"]


def test_one_more_format_is_an_extension_more(tmp_path, monkeypatch, encoder, store):
    Image.effect_noise((40, 30), 80).save(tmp_path / "a.ppm")
    assert list_images(tmp_path) == []
    monkeypatch.setattr(files, "IMAGE_EXTENSIONS", files.IMAGE_EXTENSIONS | {".ppm"})
    assert ingest(tmp_path, encoder, store, progress=False).inserted == 1
    assert search("x", encoder, store)[0].filepath == "a.ppm"


def test_a_folder_that_is_missing_or_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone"):
        list_images(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        list_images(tmp_path / "file")


def test_a_folder_that_may_not_be_read_is_named(open_folder):
    (open_folder / "a").mkdir()
    (open_folder / "a" / "1.jpg").touch()
    closed = open_folder / "closed"
    closed.mkdir(mode=0)
    with unprivileged():
        with pytest.raises(PermissionError, match="closed"):
            list_images(closed)
        with pytest.warns(UserWarning, match="closed: folder left out"):
            found = list_images(open_folder)
    assert [p.name for p in found] == ["1.jpg"]


def test_a_sample_is_spread_over_the_folder_and_leaves_out_what_does_not_open(drawings, tmp_path):
    labels = [path.parent.name for path in sample_images(drawings, 5)]
    assert len(set(labels)) == 5
    for index, path in enumerate(list_images(drawings)[:7]):
        (tmp_path / f"{index}.jpg").write_bytes(path.read_bytes() if index % 2 else b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    assert [path.name for path in sample_images(tmp_path, 9)] == ["1.jpg", "3.jpg", "5.jpg"]
