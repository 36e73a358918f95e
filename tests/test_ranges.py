"""Pictures of more than 8 bits a channel."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers import load_image
from helpers.images.pictures import read_image

RNG = np.random.default_rng(0)
COLOUR = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((120, 90))
).copy()
COLOUR[:2], COLOUR[2:4] = 0, 255  # all of the range
GREY = np.asarray(Image.fromarray(COLOUR).convert("L"))


def bits(values, n):
    return np.round(values / 255 * (2**n - 1)).astype(np.uint32 if n > 16 else np.uint16)


def png(values, colour_type, *chunks):
    """Return a PNG of 16 bits, which Pillow cannot write in colour."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    parts = [head, *(chunk(*c) for c in chunks), chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def looks_like(path, values, edge=None):
    shown, facts = read_image(path, edge)
    expected = np.asarray(Image.fromarray(values).convert("RGB"), float)
    assert (facts["width"], facts["height"]) == shown.size == values.shape[1::-1]
    return np.abs(np.asarray(shown, float) - expected).mean() < 2


UNIT = GREY / 255


@pytest.mark.parametrize(
    "values",
    [
        UNIT.astype(np.float32),
        UNIT.astype(np.float16),
        UNIT,
        GREY.astype(np.float32),
        (UNIT * 65535).astype(np.float32),
        (UNIT * 2 - 1).astype(np.float32),
        (UNIT * 1.02 - 0.01).astype(np.float32),
        *(bits(GREY, n) for n in (10, 12, 14, 16, 32)),
        GREY.astype(np.int32),
        bits(GREY, 31).astype(np.int32),
        bits(GREY, 15).astype(np.int16),
        (bits(GREY, 16).astype(int) - 32768).astype(np.int16),
    ],
    ids=lambda values: f"{values.dtype}-{values.min():.0f}-{values.max():.0f}",
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_a_grey_tiff_looks_right_whatever_numbers_it_holds(tmp_path, values, byteorder):
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", byteorder=byteorder)
    assert looks_like(tmp_path / "x.tif", GREY)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "values",
    [bits(COLOUR, 12), bits(COLOUR, 16), bits(COLOUR, 32), (COLOUR / 255).astype(np.float32)],
    ids=["12 bits", "16 bits", "32 bits", "floats"],
)
def test_a_tiff_in_colour_looks_right_whatever_numbers_it_holds(tmp_path, values, planar):
    values = np.moveaxis(values, -1, 0) if planar == "separate" else values
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.ascontiguousarray(values), photometric="rgb", planarconfig=planar)
    assert looks_like(path, COLOUR)


@pytest.mark.parametrize(("n", "alpha"), [(10, 0), (12, 0), (16, 0), (10, 12), (12, 12), (12, 16)])
@pytest.mark.parametrize("values", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_png_of_16_bits_may_use_fewer_of_them(tmp_path, values, n, alpha):
    stored, kind = bits(values, n), 2 if values.ndim == 3 else 0
    if alpha:
        opaque = np.full(GREY.shape, 2**alpha - 1, np.uint16)
        stored, kind = np.dstack([stored, opaque]), kind + 4
    (tmp_path / "x.png").write_bytes(png(stored, kind))
    assert looks_like(tmp_path / "x.png", values)


def test_a_png_of_12_bits_with_a_fault_beside_its_picture_looks_right(tmp_path):
    text = b"prompt\0\0" + zlib.compress(b"x" * 3_000_000)
    (tmp_path / "x.png").write_bytes(png(bits(COLOUR, 12), 2, (b"zTXt", text)))
    assert looks_like(tmp_path / "x.png", COLOUR)


def test_what_is_no_number_does_not_change_the_rest(tmp_path):
    values = UNIT.astype(np.float32)
    values[50, :6] = np.nan, np.inf, -np.inf, 3e38, -3e38, 9
    tifffile.imwrite(tmp_path / "x.tif", values)
    assert looks_like(tmp_path / "x.tif", GREY)


def test_the_range_that_a_tiff_declares_counts(tmp_path):
    quarter = (GREY / 255 * 1000).astype(np.uint16)
    declared = [(340, "H", 1, 0, True), (341, "H", 1, 4000, True)]
    tifffile.imwrite(tmp_path / "x.tif", quarter, extratags=declared)
    assert looks_like(tmp_path / "x.tif", GREY // 4)


def test_a_declared_range_that_cannot_be_is_ignored(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", bits(GREY, 16), extratags=[(281, "H", 1, 255, True)])
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_tiff_in_which_0_is_white_looks_right(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", 4095 - bits(GREY, 12), photometric="miniswhite")
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_compressed_tiff_of_12_bits_looks_right(tmp_path):
    Image.fromarray(bits(GREY, 12)).save(tmp_path / "x.tif", compression="tiff_lzw")
    assert looks_like(tmp_path / "x.tif", GREY)


def test_of_several_pages_the_first_is_shown(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([bits(GREY, 12), 4095 - bits(GREY, 12)]))
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_dark_night_in_16_bits_stays_dark(tmp_path):
    Image.fromarray((bits(GREY, 16) * 0.3).astype(np.uint16)).save(tmp_path / "x.png")
    assert looks_like(tmp_path / "x.png", (GREY * 0.3).astype(np.uint8))


def test_a_grey_map_is_as_bright_as_it_says(tmp_path):
    quarter = (GREY / 255 * 1000).astype(">u2")
    (tmp_path / "x.pgm").write_bytes(b"P5 120 90 4000\n" + quarter.tobytes())
    assert looks_like(tmp_path / "x.pgm", GREY // 4)


def test_the_value_that_is_transparent_in_16_bits_is_white(tmp_path):
    values = bits(GREY, 16)
    values[40:60] = 7
    (tmp_path / "x.png").write_bytes(png(values, 0, (b"tRNS", struct.pack(">H", 7))))
    shown = np.asarray(load_image(tmp_path / "x.png"))
    assert (shown[40:60] == 255).all()


def test_a_large_picture_of_12_bits_is_reduced_and_looks_right(tmp_path):
    large = np.asarray(Image.fromarray(COLOUR).resize((1200, 900), Image.Resampling.BICUBIC))
    (tmp_path / "x.png").write_bytes(png(bits(large, 12), 2))
    shown = load_image(tmp_path / "x.png", edge=45)
    expected = Image.fromarray(large).reduce(10)
    assert shown.size == (120, 90)
    assert np.abs(np.asarray(shown, float) - np.asarray(expected, float)).mean() < 2


def test_half_a_tiff_of_floats_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", (COLOUR / 255).astype(np.float32), photometric="rgb")
    content = (tmp_path / "x.tif").read_bytes()
    for size in (len(content) // 2, len(content) - 20):
        (tmp_path / "x.tif").write_bytes(content[:size])
        with pytest.raises(OSError, match=r"x.tif: cannot be read as an image"):
            load_image(tmp_path / "x.tif")


def test_an_image_in_memory_may_hold_floats_too():
    shown = load_image(Image.fromarray(UNIT.astype(np.float32)))
    assert np.abs(np.asarray(shown, float)[..., 0] - GREY).mean() < 2
    assert load_image(Image.open(io.BytesIO(png(bits(COLOUR, 16), 2)))).size == (120, 90)
