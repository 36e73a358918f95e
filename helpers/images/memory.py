"""Memory for pictures: a bound on what all threads decode at once, and large pictures made small.

A picture takes four bytes a pixel while it is decoded, so one of 120 megapixels takes 480 MB.
"""

import contextlib
import threading
from collections.abc import Iterator

from PIL import Image

_STRIP = 2**20  # pixels that are converted at once
_BLOCK = 2**26  # bytes, in which Pillow allocates large pictures, 2**24 by default

# Blocks of more than 32 MB go back to the system when they are freed. Smaller ones stay with the
# thread that allocated them, so that every thread would keep as much as its largest picture took.
Image.core.set_block_size(_BLOCK)


class Budget:
    """So many pixels at once, over all threads; a picture of more than that goes alone.

    Who comes first goes first, so that a large picture is not kept waiting by many small ones.
    """

    def __init__(self, pixels: int) -> None:
        self.pixels = self._left = pixels
        self._turn = threading.Lock()
        self._given_back = threading.Condition()

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


def shrunk(image: Image.Image, edge: int | None) -> Image.Image:
    """Return an image whose short side is still at least twice `edge`, reduced by a whole number.

    It is worked on in strips: palettes and transparency need a form of their own to be reduced in,
    and of a large picture that would be a second copy.
    """
    factor = min(image.size) // (2 * edge) if edge else 1
    if factor < 2:
        return image
    rows = factor * max(1, _STRIP // (factor * image.width))
    small: Image.Image | None = None
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip = _averageable(strip).reduce(factor)
        if small is None:
            small = Image.new(strip.mode, [-(-side // factor) for side in image.size])
        small.paste(strip, (0, top // factor))
    assert small is not None
    small.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return small


def _averageable(image: Image.Image) -> Image.Image:
    """Return an image in a mode whose values can be averaged; Pillow weighs them by their alpha."""
    if image.has_transparency_data and image.mode != "LA":
        return image.convert("RGBA")
    if image.mode in ("1", "P", "HSV"):
        return image.convert("L" if image.mode == "1" else "RGB")
    return image
