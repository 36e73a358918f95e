"""Pictures as a person sees them: opened from files, upright, in sRGB, on a background.

A file that Pillow refuses although no pixel is missing is mended in memory, such as a JPEG that
lacks its end marker. A file that is only half copied stays refused: it is taken when it is whole.

Not about which files there are, nor by which names they are known: that is `files`.
"""

import contextlib
import hashlib
import io
import logging
import operator
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from pi_heif import register_heif_opener
from PIL import ExifTags, Image, ImageOps, ImageSequence, PngImagePlugin
from tifffile import TiffFile

from ..encoding import Picture
from . import files
from .colours import decoded, in_8_bits, in_srgb, on_background
from .facts import RECORDED, facts_of, or_else

_ANIMATIONS = ("GIF", "PNG", "WEBP", "AVIF", "JXL")
_OF_PHONES = ("JPEG", "MPO", "HEIF")
_LARGEST = 178_956_970  # pixels, as Pillow has it: small files can grow to more
_LARGEST_PHOTO = 2**28  # pixels: phones make 200 million
_TOO_LARGE = "it has too many pixels, as a decompression bomb has: make it smaller"
_AT_ONCE = 2**23  # bytes are read, as Pillow reads in many small steps
_FRAMES = 100  # of an animation are searched for one that shows something
_PLAIN = 8  # of 255: a picture with less contrast shows nothing
_STRIP = 2**20  # pixels that are converted at once
_TURNS = {3: 3, 5: 8, 6: 6}  # LibRaw's numbers, and those of EXIF
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how they begin
_NEEDED = b"IHDR PLTE IDAT tRNS eXIf gAMA cHRM sRGB iCCP acTL fcTL fdAT".split()  # of a PNG

register_heif_opener()
with contextlib.suppress(ImportError):  # an optional package
    import pillow_jxl  # type: ignore[import-not-found]  # noqa: F401

# Real photos often have broken EXIF data or very many pixels; Pillow warns about both.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is in the exception
if Image.MAX_IMAGE_PIXELS is not None:  # Pillow refuses twice as many; see `_refuse_bomb`
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, _LARGEST_PHOTO // 2)
PngImagePlugin.MAX_TEXT_CHUNK = 2**24  # bytes: profiles, and prompts of programs that draw
# Blocks of more than 32 MB go back to the system when they are freed. Smaller ones stay with the
# thread that allocated them, so that every thread would keep as much as its largest picture took.
Image.core.set_block_size(2**26)  # bytes, in which Pillow allocates large pictures


class Budget:
    """So many pixels at once, over all threads; a picture of more than that goes alone.

    A picture takes four bytes a pixel while it is decoded, so one of 120 megapixels takes 480 MB.
    Who comes first goes first, so that a large picture is not kept waiting by many small ones.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = self._left = pixels
        self._turn, self._given_back = threading.Lock(), threading.Condition()

    @contextlib.contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels are left, and take them for a while."""
        pixels = min(pixels, self.pixels)
        with self._turn, self._given_back:
            self._given_back.wait_for(lambda: self._left >= pixels)
            self._left -= pixels
        try:
            yield
        finally:
            with self._given_back:
                self._left += pixels
                self._given_back.notify_all()


IN_FLIGHT = Budget(2**27)
"""What this process decodes at once, half a gigabyte."""


def sample_images(folder: str | os.PathLike, n: int) -> list[Path]:
    """Return up to `n` images, spread over a folder, without files that cannot be opened."""
    images = files.list_images(folder)
    every = max(1, len(images) // n)
    in_order = images[::every] + [image for i, image in enumerate(images) if i % every]
    return list(islice(filter(_opens, in_order), n))


def _opens(path: Path) -> bool:
    is_file = path.is_file()  # opening a pipe would wait forever
    return is_file and or_else(None, lambda: load_image(path, edge=64)) is not None


def load_image(image: Picture, edge: int | None = None) -> Image.Image:
    """Return an image upright, in RGB, in sRGB, and on white where it is transparent.

    The tutorial ignores the EXIF orientation, so a phone's portrait photo is encoded lying down;
    and it drops transparency, which shows whatever colour is under it. A picture that cannot be
    seen on white is shown on black or grey; of an animation, the first frame that shows something.

    Parameters
    ----------
    image : path or PIL image
    edge : int, optional
        This many pixels a side are enough: a larger picture is reduced while it is read, by a
        whole number.

    Raises
    ------
    OSError
        If the file is missing or is not a whole image; the message names it and says why.
    """
    return read_image(image, edge)[0]


def read_image(image: Picture, edge: int | None = None) -> tuple[Image.Image, dict[str, object]]:
    """Return what `load_image` does, and what else the file says about the image.

    The facts are its `width` and `height` as it is seen, what the camera noted (see `facts_of`)
    and of a file its `digest`, see `content_digest`.
    """
    if isinstance(image, Image.Image):
        picture = _seen(image)
        facts = _seen_size(image, image.size) | facts_of(image)
        return picture.copy() if picture is image else picture, facts
    try:
        with open(image, "rb", _AT_ONCE) as file:
            digest = _digest(file)
            picture, facts = _read(file, os.fspath(image), edge)
            return picture, facts | {"digest": digest}
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on broken files
        raise OSError(f"{os.fspath(image)}: {_reason(image, error)}") from error


def content_digest(path: str | os.PathLike) -> str:
    """Return 32 hex digits that tell a file's content from any other: its 128-bit BLAKE2b.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        return _digest(file)


def _digest(file: Any) -> str:
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _reason(image: str | os.PathLike, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"cannot be read as an image ({_TOO_LARGE})"
    if not isinstance(error, Image.UnidentifiedImageError):
        for_people = isinstance(error, OSError | ValueError)  # others speak of code
        return f"cannot be read as an image ({error if for_people else 'it is damaged'})"
    if os.path.getsize(image) == 0:
        return "the file is empty"
    what_to_do = files.NOT_OPENED.get(Path(image).suffix.lower())
    return f"cannot be read as an image ({what_to_do or 'format not known'})"


def _read(file: IO[bytes], name: str, edge: int | None) -> tuple[Image.Image, dict[str, object]]:
    try:
        image = _opened(file, name)
        _refuse_damaged(file, image)
        return _decoded(image, edge)
    except Exception:
        if (mended := or_else(None, lambda: _mended(file))) is None:
            raise
    return _decoded(mended, edge)


def _opened(file: IO[bytes], name: str) -> Image.Image:
    """Open an image; only its name tells what a camera recorded from a TIFF."""
    if Path(name).suffix.lower() in files.RAW_EXTENSIONS & files.IMAGE_EXTENSIONS:
        with contextlib.suppress(OSError, ValueError):  # another kind of file under that name
            return _preview(file)
    try:
        image = open_known(file)
    except Image.UnidentifiedImageError:
        file.seek(0)
        if file.read(2) not in (b"II", b"MM"):
            raise
        return _read_tiff(file)
    return _read_tiff(file) if _is_misread(image) else image


def open_known(file: IO[bytes]) -> Image.Image:
    """Open a file with Pillow if its content is of a format with an ending in `files`.

    Pillow hands PostScript to Ghostscript, a program that runs what is written in it, whatever the
    file is called; and its Targa plug-in takes some icons for pictures.

    Raises
    ------
    ValueError
        If it begins as something else that many people have; the message says what, and what to do.
    PIL.UnidentifiedImageError
        If it is of no format that is opened. Broken files raise nearly anything.
    """
    file.seek(0)
    head = file.read(512)
    for name, ending, beginning in files.BEGINNINGS:
        if ending not in files.IMAGE_EXTENSIONS and files.begins(head, beginning):
            raise ValueError(f"it is {name}; {files.NOT_OPENED.get(ending, 'export it as JPEG')}")
    named = {Image.registered_extensions().get(ending) for ending in files.IMAGE_EXTENSIONS}
    image = Image.open(file, formats=[name for name in Image.ID if name in named])
    _refuse_bomb(image.width, image.height, image.format)
    return image


def _refuse_bomb(width: int, height: int, kind: str | None = None) -> None:
    """Raise if a picture is too large for its kind; of others than photos, small files grow."""
    if width * height > (_LARGEST_PHOTO if kind in _OF_PHONES else _LARGEST):
        raise Image.DecompressionBombError


def _is_misread(image: Image.Image) -> bool:
    """Return whether a TIFF has more than 8 bits a colour: Pillow reads 8, in planes wrong ones."""
    tags = getattr(image, "tag_v2", {})
    is_meant = 2 in (tags.get(262), tags.get(284))  # RGB, or in planes
    return is_meant and max(tags.get(258, (8,))) > 8 and tags.get(259, 1) == 1  # not compressed


def _read_tiff(file: IO[bytes]) -> Image.Image:
    """Return the first page of a TIFF of a kind that Pillow does not know, such as float colours.

    Raises
    ------
    ValueError
        If it is neither grey nor RGB, or not whole.
    """
    file.seek(0)
    with TiffFile(file) as tiff:
        page: Any = tiff.pages.first
        if page.photometric not in (0, 1, 2):
            raise ValueError("a TIFF of an unknown kind")
        width, height = page.imagewidth, page.imagelength
        _refuse_bomb(width, height)
        with IN_FLIGHT.taken(4 * width * height):
            values = page.asarray()
            if page.axes.startswith("S"):  # each colour in a plane of its own
                values = np.moveaxis(values, 0, -1)
            channels = (3 if page.photometric == 2 else 1) + any(page.extrasamples[:1])
            values = in_8_bits(values.reshape(height, width, -1)[..., :channels])
    image = Image.fromarray(values[..., 0] if channels == 1 else values)
    _load_exif(image.getexif(), file)
    image.info["icc_profile"] = page.iccprofile
    return image


def _load_exif(exif: Image.Exif, file: IO[bytes]) -> Image.Exif:
    """Let EXIF be read from a file that begins as a TIFF does, when it is asked for."""
    file.seek(0)
    or_else(None, lambda: exif.load_from_fp(file))
    return exif


def _preview(file: IO[bytes]) -> Image.Image:
    """Return the picture that a camera put beside its recording, or one made from that."""
    import rawpy  # type: ignore[import-not-found]

    file.seek(0)
    try:
        raw = rawpy.imread(cast(BinaryIO, file))
    except rawpy.LibRawError as error:
        raise ValueError(error) from error
    with raw:
        try:
            preview: Any = raw.extract_thumb()  # a JPEG or an array
        except rawpy.LibRawError:
            return Image.fromarray(raw.postprocess(use_camera_wb=True))  # upright
        turn = _TURNS.get(raw.sizes.flip, 1)
        lies = raw.sizes.raw_width > raw.sizes.raw_height
    is_jpeg = preview.format == rawpy.ThumbFormat.JPEG
    image = open_known(io.BytesIO(preview.data)) if is_jpeg else Image.fromarray(preview.data)
    exif = image.getexif()
    if ExifTags.Base.Orientation not in exif and (image.width > image.height) == lies:
        exif[ExifTags.Base.Orientation] = turn
    image.info[RECORDED] = _load_exif(Image.Exif(), file)  # most previews lack it
    return image


def _refuse_damaged(file: IO[bytes], image: Image.Image) -> None:
    """Raise if pixels of an opened image are wrong or missing without Pillow saying so.

    Pillow does not look at the checksums of a PNG's pixels, and not at the end of a packed TIFF.
    """
    if image.format == "PNG":
        open_known(file).verify()
    tags = getattr(image, "tag_v2", {})
    starts, lengths = tags.get(273) or tags.get(324, ()), tags.get(279) or tags.get(325, ())
    end = max(map(operator.add, starts, lengths), default=0)  # of strips or tiles
    if tags.get(259, 1) != 1 and end > file.seek(0, io.SEEK_END):  # Compression
        raise OSError("image file is damaged, or only half copied")


def _mended(file: IO[bytes]) -> Image.Image | None:
    """Return the opened image of a file that Pillow refused; None if pixels are missing.

    It may be costly, as it is asked about refused files only.
    """
    file.seek(0)
    content = file.read()
    if content.startswith(_PNG):
        return open_known(_needed_of_png(content))
    if content.startswith(_JPEG):
        return _mended_jpeg(content.removesuffix(b"\xff"))  # half of the end marker
    return None


def _needed_of_png(content: bytes) -> io.BytesIO:
    """Return a PNG without its texts and what is broken in it, unless that is its picture."""
    source, needed, kind = io.BytesIO(content), io.BytesIO(), b""
    needed.write(source.read(len(_PNG)))
    while kind != b"IEND" and len(head := source.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        data, checksum = source.read(length), source.read(4)
        right = struct.pack(">I", zlib.crc32(kind + data))
        if right.startswith(checksum):  # a part of it is left where the file is cut
            if kind in _NEEDED:
                PngImagePlugin.putchunk(needed, kind, data)
        elif kind.isupper():  # it cannot be done without
            raise ValueError("the picture itself is damaged")
    PngImagePlugin.putchunk(needed, b"IEND")
    return needed


def _mended_jpeg(content: bytes) -> Image.Image | None:
    """Open a JPEG with its end marker added, if no pixel depends on what may be missing before it.

    That is proved by adding various data: if a pixel is missing, it comes out in various ways. (It
    does not if the file ends exactly before a restart, or between two scans of a progressive one.)
    """
    end = b"\xff\xd9"
    pictures = {_pixels_of(content + 256 * data + end) for data in (b"\0", b"\x55", b"\xaa")}
    return open_known(io.BytesIO(content + end)) if len(pictures) == 1 else None


def _pixels_of(content: bytes) -> bytes:
    """Return a digest of all pixels of an image."""
    image = open_known(io.BytesIO(content))
    with IN_FLIGHT.taken(2 * image.width * image.height):
        return hashlib.blake2b(image.tobytes()).digest()


def _decoded(image: Image.Image, edge: int | None) -> tuple[Image.Image, dict[str, object]]:
    """Return the picture of an opened file and its facts, when there is memory to decode it."""
    size = image.size
    if edge:
        image.draft("RGB", (edge, edge))  # JPEGs can be decoded smaller, most in less memory
    width, height = size if "progressive" in image.info else image.size
    copies = 3 if image.mode[0] in "IF" else 1  # of more than 8 bits
    with image, IN_FLIGHT.taken(copies * width * height):
        facts = facts_of(image)  # before a TIFF closes its file
        picture = _seen(image, edge)
        facts |= _seen_size(image, image.size if image.format == "TIFF" else size)  # it is turned
        is_animated = image.format in _ANIMATIONS and getattr(image, "is_animated", False)
        if is_animated and _is_plain(picture):
            picture = _frame_that_shows(picture.copy(), image, edge)
        return picture, facts


def _seen_size(image: Image.Image, size: tuple[int, int]) -> dict[str, object]:
    """Return the size of a decoded image as it is seen."""
    width, height = size[::-1] if _orientation(image) in (5, 6, 7, 8) else size
    return {"width": width, "height": height}


def _orientation(image: Image.Image) -> int:
    return or_else(1, lambda: image.getexif().get(ExifTags.Base.Orientation, 1))


def _seen(image: Image.Image, edge: int | None = None) -> Image.Image:
    image = decoded(image)
    orientation = _orientation(image)
    image = shrunk(image, edge)
    if orientation in range(2, 9):
        image.getexif()[ExifTags.Base.Orientation] = orientation
        image = ImageOps.exif_transpose(image)
    return on_background(in_srgb(image))


def shrunk(image: Image.Image, edge: int | None) -> Image.Image:
    """Return an image whose short side is still at least twice `edge`, reduced by a whole number.

    It is worked on in strips: palettes and transparency need a form of their own to be averaged in,
    and of a large picture that would be a second copy. Pillow weighs colours by their alpha.
    """
    factor = min(image.size) // (2 * edge) if edge else 1
    if factor < 2:
        return image
    mode = {"1": "L", "P": "RGB", "HSV": "RGB"}.get(image.mode, image.mode)
    if image.has_transparency_data and mode != "LA":
        mode = "RGBA"
    small = Image.new(mode, [-(-side // factor) for side in image.size])
    rows = factor * max(1, _STRIP // (factor * image.width))
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(strip.convert(mode).reduce(factor), (0, top // factor))
    small.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return small


def _frame_that_shows(first: Image.Image, image: Image.Image, edge: int | None) -> Image.Image:
    """Return the first picture of an animation that is not of one colour; if all are, `first`."""
    frames = islice(ImageSequence.Iterator(image), 1, _FRAMES + 1)
    pictures = (_seen(frame, edge) for frame in frames)
    return next((picture for picture in pictures if not _is_plain(picture)), first)


def _is_plain(image: Image.Image) -> bool:
    return all(high - low <= _PLAIN for low, high in image.getextrema())  # type: ignore[misc]
