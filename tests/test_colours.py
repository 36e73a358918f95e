"""Pictures of more than 8 bits a channel, colour profiles and transparency."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageDraw, ImageFont, PngImagePlugin

from helpers import load_image
from helpers.images import colours
from helpers.images.pictures import read_image

SRGB = ImageCms.createProfile("sRGB")


def swapped():
    """Return an sRGB profile whose red and blue are swapped: hard to overlook."""
    profile = bytearray(ImageCms.ImageCmsProfile(SRGB).tobytes())
    red, blue = profile.index(b"rXYZ", 128), profile.index(b"bXYZ", 128)
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def grey_profile(gamma):
    """Return a profile for grey pictures of this gamma, as short as possible."""

    def tag(kind, data):
        return kind + bytes(4) + data

    white = tag(b"XYZ ", struct.pack(">3i", 63190, 65536, 54061))
    curve = tag(b"curv", struct.pack(">IH", 1, round(gamma * 256)) + bytes(2))
    head = b"none" + struct.pack(">I", 0x02400000) + b"mntrGRAYXYZ " + bytes(12) + b"acsp"
    head = (bytes(4) + head + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)).ljust(128, b"\0")
    first = 128 + 4 + 2 * 12
    table = struct.pack(">I4sII4sII", 2, b"wtpt", first, 20, b"kTRC", first + 20, 16)
    profile = head + table + white + curve
    return struct.pack(">I", len(profile)) + profile[4:]


@pytest.fixture
def picture(photos):
    return Image.open(photos[0]).convert("RGB")


def shown(folder, image, name, **options):
    image.save(folder / name, **options)
    return np.asarray(load_image(folder / name), float)


def differs(found, expected):
    return np.abs(found - np.asarray(expected.convert("RGB"), float)).mean()


@pytest.mark.parametrize("edge", [None, 40])
@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("x.png", "RGB", {}),
        ("x.png", "RGBA", {}),
        ("x.png", "P", {}),
        ("x.tif", "RGB", {}),
        ("x.jpg", "RGB", {"quality": 98, "subsampling": 0}),
        ("x.webp", "RGB", {"lossless": True}),
        ("x.avif", "RGB", {"quality": 98, "subsampling": "4:4:4"}),
    ],
)
def test_colours_are_converted_from_the_profile_of_the_file(
    tmp_path, picture, name, mode, options, edge
):
    image = picture.quantize(256).convert("RGB") if mode == "P" else picture
    red, green, blue = image.split()
    stored = Image.merge("RGB", (blue, green, red))
    stored = stored.quantize(256) if mode == "P" else stored.convert(mode)
    stored.save(tmp_path / name, icc_profile=swapped(), **options)
    found = load_image(tmp_path / name, edge)
    assert differs(np.asarray(found, float), image.resize(found.size, Image.Resampling.BOX)) < 4


def test_transparency_survives_the_conversion(tmp_path, picture):
    half = picture.convert("RGBA")
    half.paste((0, 0, 0, 0), (0, 0, 100, 375))
    found = shown(tmp_path, half, "x.png", icc_profile=swapped())
    assert (found[:, :99] == 255).all()
    grey = half.convert("LA")
    assert (shown(tmp_path, grey, "grey.png", icc_profile=grey_profile(1))[:, :99] == 255).all()


def test_a_grey_picture_is_converted_from_a_grey_profile(tmp_path):
    grey = Image.new("L", (8, 8), 64)
    assert shown(tmp_path, grey, "x.png", icc_profile=grey_profile(1.0)).max() == pytest.approx(
        255 * 1.055 * (64 / 255) ** (1 / 2.4) - 14, abs=2
    )


@pytest.mark.parametrize("profile", [b"broken" * 99, swapped()[:300], grey_profile(1)])
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(tmp_path, picture, profile):
    assert differs(shown(tmp_path, picture, "x.png", icc_profile=profile), picture) == 0


def test_a_profile_of_another_kind_is_ignored_for_grey(tmp_path, picture):
    grey = picture.convert("L")
    assert differs(shown(tmp_path, grey, "x.png", icc_profile=swapped()), grey) == 0


def test_an_srgb_profile_changes_nothing_and_costs_nothing(tmp_path, picture, monkeypatch):
    profile = ImageCms.ImageCmsProfile(SRGB).tobytes()
    shown(tmp_path, picture, "x.png", icc_profile=profile)
    monkeypatch.delattr(ImageCms, "applyTransform")
    assert differs(shown(tmp_path, picture, "y.png", icc_profile=profile), picture) == 0


@pytest.mark.parametrize(
    ("gamma", "also", "expected"),
    [(1.0, b"", 186), (1 / 1.8, b"", 145), (1 / 2.2, b"", 128), (1.0, b"sRGB", 128)],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
def test_the_gamma_that_a_png_declares_counts_as_in_browsers(tmp_path, mode, gamma, also, expected):
    parts = PngImagePlugin.PngInfo()
    parts.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    if also:
        parts.add(also, b"\0")
    grey = Image.new("L", (8, 8), 128).convert(mode)
    found = shown(tmp_path, grey, "x.png", pnginfo=parts)
    assert found == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("keeps_profile", [True, False])
def test_lab_colours_are_shown_with_and_without_a_profile(tmp_path, picture, keeps_profile):
    lab = ImageCms.profileToProfile(picture, SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    if not keeps_profile:
        lab.info.clear()
    assert differs(shown(tmp_path, lab, "x.tif"), picture) < 2


def test_what_was_converted_is_not_converted_again(tmp_path, picture):
    picture.save(tmp_path / "x.png", icc_profile=swapped())
    once = load_image(tmp_path / "x.png")
    assert load_image(once).tobytes() == once.tobytes()


def text(*lines, size=(400, 300), background=(0, 0, 0, 0)):
    image = Image.new("RGBA", size, background)
    draw = ImageDraw.Draw(image)
    for i, colour in enumerate(lines):
        font = ImageFont.load_default(size[1] // 5)
        draw.text((size[0] // 10, size[1] * (i + 1) // 4), "LOGO", fill=colour, font=font)
    return image


@pytest.mark.parametrize("edge", [None, 40])
@pytest.mark.parametrize(
    ("image", "background"),
    [
        (text("white"), "black"),
        (text("white", size=(4000, 3000)), "black"),
        (text((235, 235, 235)), "black"),
        (text("white").convert("LA"), "black"),
        (text("white").quantize(8), "black"),
        (text("white", "black"), "grey"),
        (text("black"), "white"),
        (text("grey"), "white"),
        (text("lightblue"), "white"),
        (text("yellow", "red", "black"), "white"),
        (Image.new("RGBA", (40, 30), (255, 0, 0, 0)), "white"),
        (Image.new("RGBA", (40, 30), (255, 255, 255, 99)), "white"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_transparent_has_the_background_on_which_the_picture_shows(
    tmp_path, image, background, edge
):
    image.save(tmp_path / "x.png")
    corner = load_image(tmp_path / "x.png", edge).getpixel((0, 0))
    assert corner == Image.new("RGB", (1, 1), background).getpixel((0, 0))


def test_a_white_page_with_black_text_stays_on_white(tmp_path):
    window = Image.new("RGBA", (480, 380))
    window.paste(text("black", "black", "black", background="white"), (40, 40))
    assert shown(tmp_path, window, "x.png")[0, 0, 0] == 255


def test_the_background_shines_through_what_is_half_transparent(tmp_path):
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert shown(tmp_path, half, "x.png") == pytest.approx(127, abs=1)


def test_a_transform_is_made_once_for_many_photos_of_one_camera(picture):
    colours._transform.cache_clear()
    picture.info["icc_profile"] = swapped()
    for _ in range(3):
        load_image(picture)
    assert colours._transform.cache_info().misses == 1


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
        *(bits(GREY, n) for n in (10, 12, 14, 16)),
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


@pytest.mark.parametrize("n", [10, 12, 16])
def test_a_grey_png_of_16_bits_may_use_fewer_of_them(tmp_path, n):
    (tmp_path / "x.png").write_bytes(png(bits(GREY, n), 0))
    assert looks_like(tmp_path / "x.png", GREY)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("values", [COLOUR, GREY], ids=["colour", "grey"])
def test_a_png_of_16_bits_may_have_colours_and_transparency(tmp_path, values, alpha):
    stored, kind = bits(values, 16), 2 if values.ndim == 3 else 0
    if alpha:
        stored, kind = np.dstack([stored, np.full(GREY.shape, 65535, np.uint16)]), kind + 4
    (tmp_path / "x.png").write_bytes(png(stored, kind))
    assert looks_like(tmp_path / "x.png", values)


def test_a_png_of_12_bits_with_a_fault_beside_its_picture_looks_right(tmp_path):
    text = b"prompt\0\0" + zlib.compress(b"x" * 3_000_000)
    (tmp_path / "x.png").write_bytes(png(bits(GREY, 12), 0, (b"zTXt", text)))
    assert looks_like(tmp_path / "x.png", GREY)


def test_what_is_no_number_does_not_change_the_rest(tmp_path):
    values = UNIT.astype(np.float32)
    values[50, :6] = np.nan, np.inf, -np.inf, 3e38, -3e38, 9
    tifffile.imwrite(tmp_path / "x.tif", values)
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_tiff_in_which_0_is_white_looks_right(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", 4095 - bits(GREY, 12), photometric="miniswhite")
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_tiff_of_16_bits_a_colour_is_turned_and_keeps_what_the_camera_noted(tmp_path):
    lying = np.rot90(bits(COLOUR, 16))
    noted = [(272, "s", 0, "iPhone 12", True), (274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "x.tif", lying, photometric="rgb", extratags=noted)
    assert looks_like(tmp_path / "x.tif", COLOUR)
    assert read_image(tmp_path / "x.tif")[1]["camera"] == "iPhone 12"


def test_a_compressed_tiff_of_12_bits_looks_right(tmp_path):
    Image.fromarray(bits(GREY, 12)).save(tmp_path / "x.tif", compression="tiff_lzw")
    assert looks_like(tmp_path / "x.tif", GREY)


def test_of_several_pages_the_first_is_shown(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.stack([bits(GREY, 12), 4095 - bits(GREY, 12)]))
    assert looks_like(tmp_path / "x.tif", GREY)


def test_a_grey_map_is_as_bright_as_it_says(tmp_path):
    quarter = (GREY / 255 * 1000).astype(">u2")
    (tmp_path / "x.pgm").write_bytes(b"P5 120 90 4000\n" + quarter.tobytes())
    assert looks_like(tmp_path / "x.pgm", GREY // 4)


def test_a_large_picture_of_12_bits_is_reduced_and_looks_right(tmp_path):
    large = np.asarray(Image.fromarray(GREY).resize((1200, 900), Image.Resampling.BICUBIC))
    (tmp_path / "x.png").write_bytes(png(bits(large, 12), 0))
    shown = load_image(tmp_path / "x.png", edge=45)
    expected = Image.fromarray(large).convert("RGB").reduce(10)
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
