"""The grid and the thumbnails in it."""

import base64
import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from helpers import image_grid, list_images
from helpers.images import gallery
from helpers.images.gallery import (
    as_html,
    grid_html,
    in_order,
    isolated,
    shortened,
    thumbnail,
    thumbnail_jpeg,
    tile_html,
    whole_jpeg,
)

from .support.processes import unprivileged


def pictures(html: str) -> list[Image.Image]:
    data = re.findall(r"data:image/jpeg;base64,([^']+)'", html)
    return [Image.open(io.BytesIO(base64.b64decode(d))) for d in data]


def test_a_grid_holds_a_picture_and_a_caption_for_each_path(drawings):
    paths = list_images(drawings)[:10]
    html = image_grid(paths, [f"caption {i}" for i in range(10)], title="ten").data
    assert [picture.size for picture in pictures(html)] == [(160, 160)] * 10
    assert "caption 9" in html
    assert "repeat(5," in html
    assert "<b>ten</b>" in html


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such names")
def test_names_and_captions_are_only_text(tmp_path):
    name = "<img src=x onerror=alert(1)>' onload='x.jpg"
    Image.new("RGB", (9, 9)).save(tmp_path / "plain.jpg")
    (tmp_path / "plain.jpg").rename(tmp_path / name)
    html = grid_html([tmp_path / name], ["<script>alert(1)</script>"], title="<b>")
    assert "<img src=x" not in html
    assert "<script>" not in html
    assert html.count("<img ") == 1
    assert "' onload='" not in html


ORDERS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("odd", [*ORDERS, "\0", "\x1b", "\x7f", "\x85", "\u2029", "\udcff"])
def test_nothing_in_a_text_changes_the_order_of_its_letters(tmp_path, odd):
    name = f"photo{odd}gpj.exe"
    assert in_order(name) == isolated(name) == shortened(name) == "photogpj.exe"
    html = grid_html([f"/x/{name}"])
    assert html.count("photogpj.exe") == 2  # beside what cannot be read, and below it
    assert odd not in html


@pytest.mark.parametrize("text", ["שלום 12", "photo 12 عربي", "۱۲", "٢٠١٩", "ދިވެހި", "𞤀𞤣", "﷼"])
def test_a_text_from_right_to_left_is_isolated_and_no_other(text):
    assert isolated(text) == f"\u2068{text}\u2069"
    assert as_html(f"<{isolated(text)}>: 50") == f"&lt;<bdi>{text}</bdi>&gt;: 50"
    html = grid_html(["/x/a.jpg"], [f"{isolated(text)} · 2019\nb"], title=f"{isolated(text)}: 5")
    assert f"<bdi><bdi>{text}</bdi> · 2019</bdi><br><bdi>b</bdi>" in html
    assert f"<p dir='auto' style='margin:4px 0 8px'><b><bdi>{text}</bdi>: 5</b></p>" in html
    for other in ("Möwe 12", "北京 12", "Ελλάδα", "Привет", "नमस्ते", "😀", "café\u0301", ""):
        assert isolated(other) == other


def test_a_text_cannot_end_its_own_isolation():
    assert isolated("א\u2069\u2067ב") == "\u2068אב\u2069"


def test_a_picture_that_cannot_be_read_becomes_a_tile_that_says_so(tmp_path, drawings):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    paths = [tmp_path / "bad.jpg", tmp_path / "gone.jpg", list_images(drawings)[0]]
    html = grid_html(paths)
    assert html.count("cannot be read") == 2
    assert html.count("<img ") == 1


def test_a_caption_for_each_picture_or_none(drawings):
    with pytest.raises(ValueError, match="zip"):
        grid_html(list_images(drawings)[:2], ["one"])


def test_a_tile_follows_its_file_whatever_its_size_and_time_and_is_made_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        gallery, "thumbnail_jpeg", lambda path: opened.append(path) or thumbnail_jpeg(path)
    )
    for colour in ("red", "lime"):
        Image.new("RGB", (20, 30), colour).save(tmp_path / "x.bmp")  # of one size
        os.utime(tmp_path / "x.bmp", ns=(0, 1))
        tiles = [tile_html(tmp_path / "x.bmp", caption) for caption in ("one", "two", "three")]
    (last,) = pictures(tiles[-1])
    assert np.abs(np.subtract(last.getpixel((5, 5)), (0, 255, 0))).max() < 5
    assert len(opened) == 2


def test_a_tile_is_as_wide_as_its_picture(drawings):
    tile = tile_html(list_images(drawings)[0], "")
    assert "width:160px" in tile
    assert pictures(tile)[0].size == (160, 160)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(gallery, "data_folder", lambda: tmp_path / "data")
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
    monkeypatch.setattr(gallery, "load_image", None)
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
    monkeypatch.setattr(gallery, "_MOST", 5)
    monkeypatch.setattr(gallery, "_LOOK_AT", "")
    for age, photo in enumerate(list_images(drawings)[:9]):
        before = set((data / "thumbnails").glob("*"))
        thumbnail_jpeg(photo, 160)
        for new in set((data / "thumbnails").glob("*")) - before:
            os.utime(new, (age, age))
    kept = list((data / "thumbnails").glob("*.jpg"))
    assert sorted(path.stat().st_mtime for path in kept) == [4, 5, 6, 7, 8]


def test_a_data_folder_that_may_not_be_written_does_no_harm(open_folder, drawings, monkeypatch):
    photo = shutil.copy(list_images(drawings)[0], open_folder / "a.jpg")
    monkeypatch.setattr(gallery, "data_folder", lambda: open_folder)
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
    monkeypatch.setattr(gallery, "load_image", None)
    assert thumbnail_jpeg(path, 256) == square
    assert Image.open(io.BytesIO(whole_jpeg(path, 256))).size == expected


def test_a_photo_that_fills_the_window_is_not_kept(data, drawings):
    whole_jpeg(list_images(drawings)[0], 200, keep=False)
    assert not (data / "thumbnails").exists()
