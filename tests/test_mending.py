"""Files that Pillow refuses though no pixel is missing, and files that it takes though some are."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from helpers import load_image

JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 5},
    "restarts, progressive": {"restart_marker_blocks": 5, "progressive": True},
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


def test_a_jpeg_whose_space_was_reserved_before_it_was_copied_is_refused(tmp_path, picture):
    for options in JPEGS.values():
        whole = saved(picture, quality=90, **options)
        for size in (len(whole) // 2, len(whole) * 99 // 100):
            assert refuses(tmp_path, whole[:size] + bytes(len(whole) - size))


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused(tmp_path, picture):
    whole = saved(picture, quality=90, progressive=True)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", whole)]
    assert len(scans) > 5
    for start in scans[1:]:
        assert refuses(tmp_path, whole[:start])


def test_a_jpeg_that_ends_at_a_restart_is_refused(tmp_path, picture):
    whole = saved(picture, quality=90, restart_marker_blocks=5)
    restarts = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", whole)]
    for start in (restarts[0], restarts[-2], restarts[-1]):
        assert refuses(tmp_path, whole[:start])
        assert refuses(tmp_path, whole[: start + 2])


def test_a_progressive_jpeg_that_ends_at_the_first_restart_of_its_last_scan_is_refused(
    tmp_path, picture
):
    whole = saved(picture, quality=90, restart_marker_blocks=5, progressive=True)
    last = whole.rindex(b"\xff\xda")
    first = re.compile(rb"\xff\xd0").search(whole, last).start()
    assert refuses(tmp_path, whole[:first])


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


@pytest.mark.parametrize("kind", ["AVIF", "JPEG2000"])
def test_a_half_copied_file_whose_space_was_reserved_is_refused(tmp_path, picture, kind):
    whole = saved(picture, kind)
    assert shown(tmp_path, whole).shape == np.asarray(picture).shape
    for missing in (20, len(whole) // 2):
        assert refuses(tmp_path, whole[:-missing] + bytes(missing))


@pytest.mark.parametrize("large", [False, True])
def test_space_that_a_file_says_is_free_may_be_of_zeros(tmp_path, picture, large):
    whole = saved(picture, "AVIF")
    free = struct.pack(">I4sQ", 1, b"free", 316) if large else struct.pack(">I4s", 308, b"free")
    assert (shown(tmp_path, whole + free + bytes(300)) == shown(tmp_path, whole)).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_compressed_tiff_without_its_last_bytes_is_refused(tmp_path, picture, compression):
    whole = saved(picture, "TIFF", compression=compression)
    # libtiff writes the directory before the last strips, or behind them
    assert shown(tmp_path, whole).shape == np.asarray(picture).shape
    for missing in (1, 4, 100):
        assert refuses(tmp_path, whole[:-missing])
