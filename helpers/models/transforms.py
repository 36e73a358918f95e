"""From a picture to what a model sees: scaled and cropped as bytes, normalised on the device."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torchvision.transforms import Compose, Normalize, PILToTensor

_LONGEST = 20  # times the short side


class Transform:
    """A model's own steps from PIL image to PIL image, and its `Normalize`, one after the other.

    Between them an image is uint8: a quarter of the memory, which the threads that read, and the
    way to the device, do not have to carry.
    """

    def __init__(self, steps: Sequence[Callable], normalize: Normalize) -> None:
        self._steps = Compose([*steps, PILToTensor()])
        self._normalize = Normalize(normalize.mean, normalize.std, inplace=True)

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return uint8, shape (3, height, width)."""
        return self._steps(image)

    def normalized(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return stacked images, as `__call__` returns them, as normalised float32.

        Raises
        ------
        TypeError
            If the tensor is not uint8, so not from `__call__`.
        """
        if pixels.dtype != torch.uint8:
            raise TypeError(f"pixels have to come from `prepare` (uint8), not {pixels.dtype}")
        return self._normalize(pixels.float().div_(255))


def not_too_long(image: Image.Image) -> Image.Image:
    """Crop an image longer than 20:1 to 20:1 around its centre.

    A model that scales by the short side would make a very long image gigantic first.
    """
    short, long = sorted(image.size)
    if long <= _LONGEST * short:
        return image
    width, height = (min(side, _LONGEST * short) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
