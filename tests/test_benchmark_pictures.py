"""Copies that ingestion takes for other images, and pictures that both sides decode alike."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers import ingest, list_images
from helpers.images.pictures import content_digest, read_image

from .benchmarks import pictures
from .support import tutorial
from .support.odd_files import HEIC, make_odd_files

SAVED = {
    "jpg": {"quality": 90},
    "mpo": {"save_all": True, "append_images": [Image.new("RGB", (60, 40), "red")]},
    "png": {},
    "apng": {"format": "PNG", "save_all": True, "append_images": [Image.new("RGB", (60, 40))]},
    "gif": {},
    "webp": {},
    "bmp": {},
    "tiff": {"compression": "tiff_lzw"},
    "avif": {},
    "jp2": {},
    "j2k": {},
    "tga": {},
    "ppm": {},
    "pcx": {},
    "qoi": {},
}


@pytest.fixture(scope="module")
def picture(drawings):
    return Image.open(list_images(drawings)[0]).convert("RGB").resize((60, 40))


@pytest.mark.parametrize("ending", [*SAVED, "progressive.jpg", "exif.jpg", "heic"])
def test_a_mark_changes_the_content_and_nothing_that_is_seen(ending, picture, tmp_path):
    path, other = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    more = {"progressive.jpg": {"progressive": True}, "exif.jpg": {"exif": exif}, "heic": None}
    if (how := (SAVED | more)[ending]) is None:
        path.write_bytes(HEIC)
    else:
        picture.save(path, **how)
    other.write_bytes(pictures.marked(path.read_bytes(), "copy 000001"))
    (seen, facts), (seen_marked, facts_marked) = read_image(path), read_image(other)
    assert seen_marked.tobytes() == seen.tobytes()
    assert facts_marked.pop("digest") != facts.pop("digest")
    assert facts_marked == facts
    with Image.open(path) as image, Image.open(other) as image_marked:  # as others decode it
        assert image_marked.convert("RGB").tobytes() == image.convert("RGB").tobytes()
    assert other.stat().st_size - path.stat().st_size < 40


def test_no_two_copies_have_the_same_content_even_of_one_picture(photos, tmp_path):
    made = pictures.copies([photos[0], photos[0], photos[2]], tmp_path / "copies", 3)
    assert len({content_digest(path) for path in made}) == len(made) == 9
    assert made == sorted(made)


def test_all_copies_are_encoded_by_an_ingestion(photos, encoder, store, tmp_path):
    made = pictures.copies(photos, tmp_path / "copies", 2)
    passed = []
    hook = encoder.model.visual.register_forward_pre_hook(lambda _, x: passed.append(len(x[0])))
    report = ingest(made[0].parent, encoder, store, progress=False)
    hook.remove()
    assert report.inserted == sum(passed) == 8


def test_copies_of_large_photos_take_no_more_than_there_is_space_for(photos, tmp_path, monkeypatch):
    size = sum(path.stat().st_size for path in photos)
    for times in (0, 2):
        monkeypatch.setattr(pictures, "SPACE", times * size + 1)
        made = pictures.copies(photos, tmp_path / f"{times}", 16)
        assert len(made) == len(photos) * max(1, times)


@pytest.fixture(scope="module")
def preprocess(checkpoint):
    return tutorial.load(checkpoint)[1]


def _saved(path, image, **how):
    image.save(path, **how)
    return path


def _wide_gamut() -> bytes:
    """A profile that is not sRGB's: its gamma is 1."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = profile.index(b"para") if b"para" in profile else profile.index(b"curv")
    assert profile[at : at + 4] == b"para"
    return profile[: at + 12] + (1 << 16).to_bytes(4) + profile[at + 16 :]


def test_what_both_sides_decode_alike_is_told_from_the_rest_with_the_reason(
    picture, photos, preprocess, tmp_path
):
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = picture.convert("RGBA")
    clear.paste((255, 0, 0, 0), (0, 0, 30, 40))
    deep = np.asarray(picture.convert("L")).astype(np.uint16) * 16
    others = {
        _saved(tmp_path / "turned.jpg", picture, exif=turned): "its orientation",
        _saved(tmp_path / "clear.png", clear): "transparency",
        _saved(tmp_path / "profile.png", picture, icc_profile=_wide_gamut()): "a colour profile",
        _saved(tmp_path / "12 bits.png", Image.fromarray(deep)): "more than 8 bits a colour",
        _saved(tmp_path / "colours.gif", picture.quantize(200)): "a palette",
        _saved(tmp_path / "both.webp", clear, exif=turned): "its orientation and transparency",
    }
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    alike = [*photos, _saved(tmp_path / "srgb.jpg", picture, icc_profile=srgb)]
    assert pictures.decoded_otherwise([*alike, *others], preprocess) == others


def test_pictures_that_only_we_can_open_are_not_compared(photos, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    whole = photos[0].read_bytes()
    (folder / "whole.jpg").write_bytes(whole)
    (folder / "without its end.jpg").write_bytes(whole[:-2])
    (folder / "no picture.jpg").write_text("notes")
    opened, left_out = pictures.sample(folder, 5)
    assert [path.name for path in opened] == ["whole.jpg"]
    assert [path.name for path in left_out] == ["without its end.jpg"]
    (folder / "whole.jpg").unlink()
    with pytest.raises(SystemExit, match=r"folder holds no image that the other ways can open"):
        pictures.sample(folder, 5)


def test_odd_files_are_marked_or_named_but_never_stop_it(photos, preprocess, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    make_odd_files(folder, photos[0])
    opened, _ = pictures.sample(folder, 50)
    made = pictures.copies(opened, tmp_path / "copies", 1)
    for path, copy in zip(opened, made, strict=True):
        assert read_image(copy)[0].tobytes() == read_image(path)[0].tobytes()
    reasons = pictures.decoded_otherwise(made, preprocess)
    named = {opened[made.index(path)].name for path in reasons}
    assert {"lying.jpg", "alpha.png", "palette with alpha.png"} <= named
    assert "progressive.jpg" not in named
