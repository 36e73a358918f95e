"""Pictures as a person sees them: whole, damaged and half copied ones, and what they take."""

import ast
import hashlib
import io
import os
import re
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, PngImagePlugin

import helpers
from helpers import Query, SearchPanel, image_grid, ingest, load_image, sample_images, search
from helpers.images import files, pictures
from helpers.images.gallery import thumbnail_jpeg, whole_jpeg
from helpers.images.pictures import Budget, content_digest, read_image, shrunk

from .support.odd_files import HEIC


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


def is_the_heic(path):
    shown, facts = read_image(path)
    assert (facts["width"], facts["height"]) == shown.size == (64, 48)
    for place, colour in {(10, 10): "red", (50, 10): "blue", (50, 42): "lime"}.items():
        expected = Image.new("RGB", (1, 1), colour).getpixel((0, 0))
        assert shown.getpixel(place) == pytest.approx(expected, abs=20)
    return True


@pytest.mark.parametrize("name", ["x.heic", "x.HIF", "x.jpg", "x"])
def test_a_heic_photo_is_read_and_turned_once_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(HEIC)
    assert is_the_heic(tmp_path / name)


def test_a_jpeg_that_is_called_heic_is_read(tmp_path, photos):
    (tmp_path / "x.heic").write_bytes(photos[0].read_bytes())
    assert load_image(tmp_path / "x.heic").tobytes() == load_image(photos[0]).tobytes()


def test_half_a_heic_photo_is_refused(tmp_path):
    (tmp_path / "x.heic").write_bytes(HEIC[: len(HEIC) - 50])
    with pytest.raises(OSError, match=r"x.heic: cannot be read as an image"):
        load_image(tmp_path / "x.heic")


def jpeg_of(width, height):
    """Return a JPEG that claims a size."""
    buffer = io.BytesIO()
    Image.new("L", (16, 16), 200).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:PIL")  # as `pictures` does
def test_a_photo_of_200_megapixels_is_read(tmp_path):
    (tmp_path / "x.jpg").write_bytes(jpeg_of(16_320, 12_240))
    shown, facts = read_image(tmp_path / "x.jpg", edge=448)
    assert (facts["width"], facts["height"]) == (16_320, 12_240)
    assert 448 <= min(shown.size) < 2 * 2 * 448


@pytest.mark.filterwarnings("ignore::RuntimeWarning:PIL")  # as `pictures` does
def test_what_is_larger_than_any_phones_photo_is_refused(tmp_path):
    (tmp_path / "x.jpg").write_bytes(jpeg_of(65_500, 65_500))
    Image.new("1", (20_000, 9_000)).save(tmp_path / "x.png")
    Image.new("1", (20_000, 9_000)).save(tmp_path / "x.tif", compression="group4")
    for name in ("x.jpg", "x.png", "x.tif"):
        with pytest.raises(OSError, match=f"{name}: cannot be read as an image .*bomb"):
            load_image(tmp_path / name, edge=64)


def directory(entries, start):
    """Return a TIFF's directory, followed by the values that have no room in it."""
    fields, values = b"", b""
    after = start + 2 + 12 * len(entries) + 4
    for tag, kind, numbers in entries:
        data = struct.pack(f"<{len(numbers)}{'_B_HI'[kind]}", *numbers)
        if len(data) > 4:
            values, data = values + data, struct.pack("<I", after + len(values))
        fields += struct.pack("<HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
    return struct.pack("<H", len(entries)) + fields + bytes(4) + values


def dng(picture, orientation, *, with_preview=True, exif_too=False):
    """Return a camera's recording, all grey, and a preview beside it that shows a picture."""
    exif = Image.Exif()
    if exif_too:
        exif[0x0112] = orientation
    preview = io.BytesIO()
    picture.save(preview, "JPEG", quality=95, exif=exif.tobytes())
    jpeg = preview.getvalue() + bytes(len(preview.getvalue()) % 2)
    width, height = 2 * picture.width, 2 * picture.height
    raw = np.full((height, width), 2000, "<u2").tobytes()
    size = [(256, 4, [width]), (257, 4, [height])]
    recorded = [(254, 4, [0]), *size, (258, 3, [16]), (259, 3, [1]), (262, 3, [32803])]
    recorded += [(273, 4, [8 + len(jpeg)]), (274, 3, [orientation]), (277, 3, [1])]
    recorded += [(278, 4, [height]), (279, 4, [len(raw)])]
    of_dng = [(50706, 1, [1, 4, 0, 0])]
    pattern = [(33421, 3, [2, 2]), (33422, 1, [0, 1, 1, 2])]
    levels = [(50714, 3, [0]), (50717, 3, [4095])]
    second = 8 + len(jpeg) + len(raw)
    if not with_preview:
        only = directory([*recorded, *pattern, *of_dng, *levels], second)
        return b"II*\0" + struct.pack("<I", second) + jpeg + raw + only
    beside = directory([*recorded, *pattern, *levels], second)
    shown = [(254, 4, [1]), (256, 4, [picture.width]), (257, 4, [picture.height])]
    shown += [(258, 3, [8, 8, 8]), (259, 3, [7]), (262, 3, [6]), (273, 4, [8])]
    shown += [(274, 3, [orientation]), (277, 3, [3]), (278, 4, [picture.height])]
    shown += [(279, 4, [len(jpeg)]), (330, 4, [second])]
    first = second + len(beside)
    head = b"II*\0" + struct.pack("<I", first)
    return head + jpeg + raw + beside + directory([*shown, *of_dng], first)


LYING = {1: None, 3: 3, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
LYING[3] = Image.Transpose.ROTATE_180


@pytest.mark.parametrize("exif_too", [False, True])
@pytest.mark.parametrize("orientation", LYING)
def test_a_cameras_recording_is_shown_by_its_preview_turned_once(
    tmp_path, photos, orientation, exif_too
):
    pytest.importorskip("rawpy")
    picture = Image.open(photos[0]).convert("RGB")
    turn = LYING[orientation]
    stored = picture if turn is None else picture.transpose(turn)
    (tmp_path / "x.DNG").write_bytes(dng(stored, orientation, exif_too=exif_too))
    shown, facts = read_image(tmp_path / "x.DNG")
    assert (facts["width"], facts["height"]) == shown.size == picture.size
    assert np.abs(np.asarray(shown, float) - np.asarray(picture, float)).mean() < 3


def test_a_recording_without_a_preview_is_developed(tmp_path, photos):
    pytest.importorskip("rawpy")
    picture = Image.open(photos[0]).convert("RGB")
    (tmp_path / "x.dng").write_bytes(dng(picture, 6, with_preview=False))
    assert load_image(tmp_path / "x.dng").size == (2 * picture.height, 2 * picture.width)


def test_a_jpeg_that_is_called_as_a_recording_is_read(tmp_path, photos):
    (tmp_path / "x.dng").write_bytes(photos[0].read_bytes())
    assert load_image(tmp_path / "x.dng").tobytes() == load_image(photos[0]).tobytes()


def test_half_a_recording_is_refused(tmp_path, photos):
    picture = Image.open(photos[0]).convert("RGB")
    content = dng(picture, 1)
    (tmp_path / "x.dng").write_bytes(content[: len(content) // 2])
    with pytest.raises(OSError, match=r"x.dng: cannot be read as an image"):
        load_image(tmp_path / "x.dng")


def test_every_plug_in_that_opens_phones_photos_is_there():
    assert set(pictures._OF_PHONES) - {"MPO"} <= set(Image.OPEN)  # which the JPEG plug-in opens


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 4},
    "restarts, progressive": {"restart_marker_rows": 4, "progressive": True},
    "whole colours": {"subsampling": 0, "optimize": True},
}
MODES = ("RGB", "L", "CMYK")


@pytest.fixture
def picture(photos):
    return Image.open(photos[0]).convert("RGB")


def of_mode(picture, mode):
    """Return a picture of which every channel shows something."""
    if mode == "CMYK":
        return Image.merge(mode, [*picture.split(), picture.convert("L").rotate(180)])
    return picture.convert(mode)


def saved(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown(folder, content, edge=None, name="x.jpg"):
    (folder / name).write_bytes(content)
    return np.asarray(load_image(folder / name, edge), float)


def refuses(folder, content, name="x.jpg"):
    with pytest.raises(OSError, match=re.escape(name) + ": cannot be read as an image"):
        shown(folder, content, name=name)
    return True


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("edge", [None, 64])
def test_a_jpeg_without_its_end_marker_is_read(tmp_path, picture, mode, options, edge):
    whole = saved(of_mode(picture, mode), quality=90, **options)
    expected = shown(tmp_path, whole, edge)
    for content in (whole[:-2], whole[:-1], whole[:-2] + bytes(300), whole + bytes(300)):
        assert (shown(tmp_path, content, edge) == expected).all()


def test_a_jpeg_without_its_end_marker_is_read_whatever_its_last_byte(tmp_path):
    last = set()
    for seed in range(60):
        noise = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "x.jpg")
        content = (tmp_path / "x.jpg").read_bytes()[:-2]
        last.add(content[-1])
        (tmp_path / "x.jpg").write_bytes(content)
        load_image(tmp_path / "x.jpg")
    assert {0, 255} & last  # which could be taken for reserved space, or half of the marker


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_a_jpeg_of_which_pixels_are_missing_is_refused(tmp_path, picture, mode, options):
    whole = saved(of_mode(picture, mode), quality=90, **options)
    parts = [len(whole) * share // 100 for share in (50, 90, 99)]
    for size in (*parts, *(len(whole) - cut for cut in (6, 8, 12, 22, 40))):
        assert refuses(tmp_path, whole[:size])


def test_a_png_is_read_whatever_follows_its_end(tmp_path, picture):
    content = saved(picture, "PNG") + chunk(b"IDAT", b"not of this picture", wrong=1)
    assert (shown(tmp_path, content, name="x.png") == np.asarray(picture)).all()


def chunk(kind, data, wrong=0):
    checksum = zlib.crc32(kind + data) ^ wrong
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_part(content, part, before=b"IDAT"):
    at = content.index(before) - 4
    return content[:at] + part + content[at:]


LONG = zlib.compress(b"x" * 3_000_000)


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize(
    "part",
    [
        chunk(b"zTXt", b"prompt\0\0" + LONG),
        chunk(b"iTXt", b"prompt\0\1\0\0\0" + LONG),
        b"".join(chunk(b"tEXt", b"%d\0" % i + bytes(2**20)) for i in range(65)),
        chunk(b"tEXt", b"a\0b", wrong=1),
        chunk(b"pHYs", bytes(9), wrong=1),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(b"broken"), wrong=1),
    ],
    ids=["long text", "long international text", "many texts", "wrong text", "sizes", "profile"],
)
def test_a_png_is_read_whatever_is_wrong_beside_its_picture(tmp_path, picture, part, before):
    content = with_part(saved(picture, "PNG"), part, before)
    assert (shown(tmp_path, content, name="x.png") == np.asarray(picture)).all()


def test_a_png_without_its_end_is_read_if_all_pixels_are_there(tmp_path, picture):
    whole = saved(picture, "PNG")
    for cut in (4, 8, 12, 14, 16, 20):  # from within its last part to the checksum of its pixels
        assert (shown(tmp_path, whole[:-cut], name="x.png") == np.asarray(picture)).all()


def test_a_png_of_which_pixels_are_missing_is_refused(tmp_path, picture):
    whole = saved(picture, "PNG")
    for size in (len(whole) // 2, len(whole) * 9 // 10, len(whole) * 99 // 100):
        assert refuses(tmp_path, whole[:size], "x.png")
        assert refuses(tmp_path, whole[:size] + bytes(len(whole) - size), "x.png")


def test_a_png_with_a_wrong_pixel_is_refused(tmp_path, picture):
    whole = bytearray(saved(picture, "PNG", compress_level=0))
    whole[len(whole) // 2] ^= 1
    assert refuses(tmp_path, bytes(whole), "x.png")


def test_what_a_mended_png_says_of_its_colours_and_its_position_still_counts(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "x" * 3_000_000, zip=True)
    lying = picture.transpose(Image.Transpose.ROTATE_90)
    content = saved(lying, "PNG", exif=exif, pnginfo=text)
    assert (shown(tmp_path, content, name="x.png") == np.asarray(picture)).all()
    clear = picture.convert("P")
    content = saved(clear, "PNG", transparency=clear.getpixel((0, 0)), pnginfo=text)
    assert (shown(tmp_path, content, name="x.png")[0, 0] == 255).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_compressed_tiff_without_its_last_bytes_is_refused(tmp_path, picture, compression):
    whole = saved(picture, "TIFF", compression=compression)
    # libtiff writes the directory before the last strips, or behind them
    assert shown(tmp_path, whole).shape == np.asarray(picture).shape
    for missing in (1, 4, 100):
        assert refuses(tmp_path, whole[:-missing])


def test_no_more_pixels_are_taken_at_once_than_there_are():
    budget, lock, taken, most = Budget(10), threading.Lock(), [0], [0]

    def work(pixels):
        with budget.taken(pixels):
            with lock:
                taken[0] += min(pixels, 10)
                most[0] = max(most[0], taken[0])
            time.sleep(0.001)
            with lock:
                taken[0] -= min(pixels, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 5, 99, 1, 2, 10, 6] * 8))
    assert (taken[0], most[0]) == (0, 10)


def test_what_is_larger_than_all_there_is_goes_alone():
    budget = Budget(10)
    started = threading.Event()

    def wait():
        with budget.taken(1):
            started.set()

    with budget.taken(1_000):
        other = threading.Thread(target=wait)
        other.start()
        assert not started.wait(0.05)
    other.join()
    assert started.is_set()


def test_what_fails_gives_its_pixels_back():
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), budget.taken(8):
            raise ValueError("broken")
    with budget.taken(10):
        pass


def test_pictures_are_decoded_within_the_budget(tmp_path, monkeypatch, photos):
    taken = []

    class Watched(Budget):
        def taken(self, pixels):
            taken.append(pixels)
            return super().taken(pixels)

    monkeypatch.setattr(pictures, "IN_FLIGHT", Watched(2**27))
    image = Image.open(photos[0]).resize((4000, 2000))
    image.save(tmp_path / "x.png")
    image.save(tmp_path / "x.jpg")
    image.save(tmp_path / "progressive.jpg", progressive=True)
    image.convert("I;16").save(tmp_path / "16 bits.png")
    for name in ("x.png", "x.jpg", "progressive.jpg", "16 bits.png"):
        load_image(tmp_path / name, edge=400)
    assert taken == [4000 * 2000, 4000 * 2000 // 16, 4000 * 2000, 3 * 4000 * 2000]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"])
def test_a_large_picture_is_reduced_as_a_small_copy_of_it_would_be(monkeypatch, photos, mode):
    monkeypatch.setattr(pictures, "_STRIP", 5_000)  # many strips
    image = Image.open(photos[0]).resize((1003, 707)).convert(mode)
    small = shrunk(image, 50)
    assert small.size == (144, 101)
    expected = image.convert("RGB").reduce(7)
    difference = np.asarray(small.convert("RGB"), float) - np.asarray(expected, float)
    assert np.abs(difference).mean() < 1.5


def test_colours_that_are_hidden_by_transparency_do_not_bleed():
    image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 202, 400))
    small = shrunk(image, 10)
    assert {pixel[:3] for _, pixel in small.getcolors() if pixel[3]} == {(0, 0, 255)}


def test_a_picture_that_is_not_twice_as_large_as_needed_stays_as_it_is(photos):
    image = Image.open(photos[0])
    assert shrunk(image, None) is image
    assert shrunk(image, 94) is image


def test_the_vector_of_a_large_picture_stays_the_same(tmp_path, encoder, drawings):
    path = next(drawings.rglob("*.jpg"))
    large = Image.open(path).convert("RGB").resize((2600, 2400), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.png")
    assert load_image(tmp_path / "large.png", encoder.edge).width < 1300
    vectors = encoder.encode_images([tmp_path / "large.png", large])
    assert vectors[0] @ vectors[1] > 0.999


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
    return {Image.registered_extensions().get(each, "") for each in files.IMAGE_EXTENSIONS}


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
    assert files.NOT_OPENED[ending].startswith(what_to_do)
    (tmp_path / f"x{ending}").write_bytes(b"something else")
    with pytest.raises(OSError, match=rf"cannot be read as an image \({what_to_do}"):
        load_image(tmp_path / f"x{ending}")


def test_jpeg_xl_says_which_package_opens_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "IMAGE_EXTENSIONS", files.IMAGE_EXTENSIONS - {".jxl"})
    monkeypatch.setitem(files.NOT_OPENED, ".jxl", "pip install pillow-jxl-plugin")
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
    assert ending in files.IMAGE_EXTENSIONS
    image.save(tmp_path / name, kinds[ending])
    difference = np.asarray(load_image(tmp_path / name), float) - np.asarray(image, float)
    assert np.abs(difference).mean() < 2


def test_jpeg_xl_is_read_upright_where_its_package_is_installed(tmp_path):
    pytest.importorskip("pillow_jxl")
    assert ".jxl" in files.IMAGE_EXTENSIONS
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), "red").save(buffer, "JXL", exif=exif.tobytes(), lossless=True)
    (tmp_path / "x.jxl").write_bytes(buffer.getvalue())
    assert load_image(tmp_path / "x.jxl").size == (30, 20)
