"""Files that are opened in other ways than Pillow's."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from helpers import load_image
from helpers.images import opening
from helpers.images.pictures import read_image

from .support.odd_files import HEIC


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


def test_a_photo_of_200_megapixels_is_read(tmp_path):
    (tmp_path / "x.jpg").write_bytes(jpeg_of(16_320, 12_240))
    shown, facts = read_image(tmp_path / "x.jpg", edge=448)
    assert (facts["width"], facts["height"]) == (16_320, 12_240)
    assert 448 <= min(shown.size) < 2 * 2 * 448


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
    assert set(opening._OF_PHONES) <= set(Image.OPEN)
