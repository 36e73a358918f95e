"""Files as found in people's photo folders: bad ones, and odd ones that are good."""

import base64
import os
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

BOMB = (20_000, 9_000)  # pixels; Pillow refuses to decode more than 179 million
# the last has 255 bytes, the most that file systems allow
NAMES = ['it\'s "quoted".jpg', "line\nbreak.jpg", "😀 <script>.jpg", "é" * 125 + "!.jpg"]
# As an iPhone writes them: stored lying, to be turned (irot), and EXIF says so a second time.
# Upright it is 64 x 48: the left half red, the right half blue, its lower third green.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAA"
    "AAAAAAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAADMAAgAAAAACHwABAAAAAAAAACQAAAA4aWlu"
    "ZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAB"
    "B2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMA"
    "AAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkA"
    "AAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAADAAAAABAAAAQAAAAAH////w"
    "AAAAAgAAAAAAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAa"
    "aXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAF9tZGF0AAAALygBr1jm9Oq///MwPkfsdp/8jc/V//QQ+v/aEJP+fTQi"
    "nnTHD/3yhN+8VGQg262XAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)


def make_bad_files(folder: Path, photo: Path) -> dict[str, str]:
    """Make files that cannot be ingested; return filepath to the reason it must get (a regex)."""
    whole = photo.read_bytes()
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "header only.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "page.jpg").write_text("<html>not found</html>")
    (folder / "notes.jpg").write_text("buy milk")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    Image.new("1", BOMB).save(folder / "bomb.png")
    reasons = {
        "empty.jpg": "the file is empty",
        "cut.jpg": "truncated",
        "header only.png": "cannot be read as an image",
        "page.jpg": "format not known",
        "notes.jpg": "format not known",
        "phone.heic": "cannot be read as an image",
        "bomb.png": "decompression bomb",
    }
    if sys.platform != "win32":
        (folder / "broken link.jpg").symlink_to(folder / "nowhere.jpg")
        (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
        os.mkfifo(folder / "pipe.jpg")
        reasons |= {
            "broken link.jpg": "No such file",
            "loop.jpg": "Too many levels of symbolic links",
            "pipe.jpg": "not a regular file",
        }
    if sys.platform == "linux":  # only Linux allows any bytes as a name
        shutil.copy(photo, os.fsencode(folder) + b"/caf\xe9.jpg")
        reasons["caf�.jpg"] = "the name is not UTF-8: rename the file"
    return reasons


def make_odd_files(folder: Path, photo: Path) -> dict[str, Image.Image]:
    """Make unusual files that are good images; return filepath to the picture a person sees."""
    image = Image.open(photo).convert("RGB")
    grey = image.convert("L").convert("RGB")
    sixteen = np.asarray(image.convert("L")).astype(np.uint16) * 257
    clear = image.convert("RGBA")
    clear.paste((255, 0, 0, 0), (0, 0, image.width // 2, image.height))
    white = image.copy()
    white.paste("white", (0, 0, image.width // 2, image.height))
    long = Image.new("RGB", (4, 20_000), "red")
    long.paste("blue", (0, 9_000, 4, 11_000))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright

    image.convert("L").save(folder / "grey.jpg", quality=95)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    image.save(folder / "progressive.jpg", quality=95, progressive=True)
    Image.fromarray(sixteen).save(folder / "sixteen bits.png")
    clear.save(folder / "alpha.png")
    clear.quantize(64).save(folder / "palette with alpha.png")
    image.save(folder / "animated.gif", save_all=True, append_images=[Image.new("RGB", image.size)])
    image.rotate(90, expand=True).save(folder / "lying.jpg", quality=95, exif=exif)
    image.save(folder / "a png in disguise.jpg", "PNG")
    Image.new("RGB", (1, 1), "green").save(folder / "one pixel.png")
    long.save(folder / "long.png")
    seen = {
        "grey.jpg": grey,
        "cmyk.jpg": image,
        "progressive.jpg": image,
        "sixteen bits.png": grey,
        "alpha.png": white,
        "palette with alpha.png": white,
        "animated.gif": image,
        "lying.jpg": image,
        "a png in disguise.jpg": image,
        "one pixel.png": Image.new("RGB", (1, 1), "green"),
        "long.png": long,
    }
    for name in [*NAMES, "twin.jpg"] if sys.platform != "win32" else ["twin.jpg"]:
        shutil.copy(photo, folder / name)
        seen[name] = image
    return seen
