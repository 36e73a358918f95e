"""An encoder that knows nothing: it starts at once, as it loads no torch."""

import contextlib
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np

from helpers.batches import map_batches
from helpers.encoding import Encoded, Picture, unit_vectors
from helpers.images.pictures import read_image


class StubEncoder:
    """Does what `Encoder` says; the vector of an image is what it looks like at 4 x 4 pixels."""

    name = model_name = "stub"
    path = Path("stub")
    dim = 48
    digest, content = "a" * 64, "c" * 64
    batch_size = 32

    def encode_stream(
        self, images: Iterable[Picture], batch_size: int | None = None
    ) -> Generator[list[Encoded], None, None]:
        size = self.batch_size if batch_size is None else batch_size
        with contextlib.closing(map_batches(_encoded, images, size, ahead=2)) as batches:
            yield from batches

    def encode_images(self, images: Iterable[Picture]) -> np.ndarray:
        return np.array([_encoded(image).vector for image in images])

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        raise NotImplementedError("this encoder knows no words")

    def common_words(self) -> Sequence[str]:
        raise NotImplementedError("this encoder knows no words")


def _encoded(image: Picture) -> Encoded:
    try:
        picture, facts = read_image(image, edge=32)
    except OSError as error:
        return Encoded(image, {}, np.empty(0, np.float32), error)
    small = np.asarray(picture.convert("RGB").resize((4, 4)), np.float32).ravel()
    return Encoded(image, facts, unit_vectors(small - 127.5), None)
