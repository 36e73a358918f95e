import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import list_images
from helpers.images import thumbnails
from helpers.images.thumbnails import thumbnail, thumbnail_jpeg, whole_jpeg

from .support.processes import unprivileged


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(thumbnails, "data_folder", lambda: tmp_path / "data")
    return tmp_path / "data"


def test_a_thumbnail_is_a_centred_square_upright_and_on_white(tmp_path):
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "wide.png", exif=exif)
    assert thumbnail(tmp_path / "wide.png", 50).size == (50, 50)
    assert thumbnail(tmp_path / "wide.png", 50).getpixel((25, 25)) == (0, 0, 255)
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert thumbnail(tmp_path / "clear.png", 8).getpixel((4, 4)) == (255, 255, 255)


def test_a_thumbnail_is_kept_and_the_image_is_not_decoded_again(
    data, drawings, tmp_path, monkeypatch
):
    photo = list_images(drawings)[0]
    first = thumbnail_jpeg(photo, 160)
    assert Image.open(io.BytesIO(first)).size == (160, 160)
    monkeypatch.setattr(thumbnails, "load_image", None)
    assert thumbnail_jpeg(photo, 160) == first
    assert thumbnail_jpeg(shutil.copy(photo, tmp_path / "moved.jpg"), 160) == first


def test_a_changed_image_gets_a_thumbnail_of_its_own(data, tmp_path):
    sizes = []
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 40), colour).save(tmp_path / "a.png")
        picture = Image.open(io.BytesIO(thumbnail_jpeg(tmp_path / "a.png", 20)))
        sizes.append(picture.getpixel((9, 9))[0] > 128)
    assert sizes == [True, False]


def test_the_folder_may_be_deleted_at_any_time(data, drawings):
    photo = list_images(drawings)[0]
    first = thumbnail_jpeg(photo, 160)
    shutil.rmtree(data / "thumbnails")
    assert thumbnail_jpeg(photo, 160) == first
    shutil.rmtree(data)
    assert thumbnail_jpeg(photo, 160) == first
    assert not data.exists()  # where there is no data folder, none is made


def test_only_so_many_are_kept_the_newest(data, drawings, monkeypatch):
    monkeypatch.setattr(thumbnails, "_MOST", 5)
    monkeypatch.setattr(thumbnails, "_LOOK_EVERY", 1)
    for age, photo in enumerate(list_images(drawings)[:9]):
        before = set((data / "thumbnails").glob("*"))
        thumbnail_jpeg(photo, 160)
        for new in set((data / "thumbnails").glob("*")) - before:
            os.utime(new, (age, age))
    kept = list((data / "thumbnails").glob("*.jpg"))
    assert sorted(path.stat().st_mtime for path in kept) == [4, 5, 6, 7, 8]


def test_a_data_folder_that_may_not_be_written_does_no_harm(open_folder, drawings, monkeypatch):
    photo = shutil.copy(list_images(drawings)[0], open_folder / "a.jpg")
    monkeypatch.setattr(thumbnails, "data_folder", lambda: open_folder)
    with unprivileged():
        assert thumbnail_jpeg(photo, 160)
    assert not (open_folder / "thumbnails").exists()


def test_a_thumbnail_of_a_16_bit_image_keeps_its_greys(tmp_path):
    grey = np.full((20, 20), 32768, np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert thumbnail(tmp_path / "grey.png", 8).getpixel((4, 4)) == (128, 128, 128)


def test_a_whole_photo_is_as_high_as_asked_and_not_cut(data, tmp_path, monkeypatch):
    sizes = {(4000, 3000): (341, 256), (3000, 4000): (192, 256), (9000, 90): (1024, 10)}
    sizes |= {(40, 30): (40, 30)}
    for size, expected in sizes.items():
        path = tmp_path / f"{size}.jpg"
        Image.new("RGB", size, "red").save(path)
        assert Image.open(io.BytesIO(whole_jpeg(path, 256))).size == expected
    square = thumbnail_jpeg(path, 256)
    monkeypatch.setattr(thumbnails, "load_image", None)
    assert thumbnail_jpeg(path, 256) == square
    assert Image.open(io.BytesIO(whole_jpeg(path, 256))).size == expected


def test_a_photo_that_fills_the_window_is_not_kept(data, drawings):
    whole_jpeg(list_images(drawings)[0], 200, keep=False)
    assert not (data / "thumbnails").exists()
