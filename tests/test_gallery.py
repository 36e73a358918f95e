import base64
import io
import os
import re

import numpy as np
import pytest
from PIL import Image

from helpers import image_grid, list_images
from helpers.images import gallery
from helpers.images.gallery import grid_html, tile_html
from helpers.images.thumbnails import thumbnail_jpeg


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


def test_a_picture_that_cannot_be_read_becomes_a_tile_that_says_so(tmp_path, drawings):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    paths = [tmp_path / "bad.jpg", tmp_path / "gone.jpg", list_images(drawings)[0]]
    html = grid_html(paths)
    assert html.count("cannot be read") == 2
    assert html.count("<img ") == 1


def test_a_caption_for_each_picture_or_none(drawings):
    with pytest.raises(ValueError, match="zip"):
        grid_html(list_images(drawings)[:2], ["one"])


def test_a_tile_follows_its_file_and_is_made_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        gallery, "thumbnail_jpeg", lambda path: opened.append(path) or thumbnail_jpeg(path)
    )
    for colour in ("red", "lime"):
        Image.new("RGB", (20, 30), colour).save(tmp_path / "x.png")
        os.utime(tmp_path / "x.png", ns=(0, len(colour)))
        tiles = [tile_html(tmp_path / "x.png", caption) for caption in ("one", "two", "three")]
    (last,) = pictures(tiles[-1])
    assert np.abs(np.subtract(last.getpixel((5, 5)), (0, 255, 0))).max() < 5
    assert len(opened) == 2


def test_a_small_tile_is_the_same_picture_shown_smaller(drawings):
    path = list_images(drawings)[0]
    assert "width:40px" in tile_html(path, "", edge=40)
    assert pictures(tile_html(path, "", edge=40))[0].size == (160, 160)
