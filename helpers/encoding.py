"""What an encoder is, for whoever is handed one, and unit vectors: this loads no torch.

`models.encoder` has the real one. Anything else that does this can take its place.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = str | os.PathLike | Image.Image
"""What can be opened as an image: a path, or a PIL image."""


class Encoded(NamedTuple):
    """An item of `encode_stream`: the `facts` of its picture and its vector, or its error.

    With an error, the vector is empty.
    """

    item: Any
    facts: Mapping[str, object]
    vector: np.ndarray
    error: OSError | None


class Encoder(Protocol):
    """Turns images and texts into unit vectors; `ClipEncoder` describes each part.

    `content` tells weights apart, whatever file they are in; `digest` is the checksum of the file,
    which is all that older collections know.
    """

    name: str
    model_name: str
    path: Path
    dim: int
    content: str
    batch_size: int

    @property
    def digest(self) -> str:
        """The checksum of the model's file."""

    def encode_stream(
        self, images: Iterable[Picture], batch_size: int | None = None
    ) -> Generator[list[Encoded], None, None]:
        """Yield images encoded, batch by batch; one that cannot be read carries the error."""

    def encode_images(self, images: Iterable[Picture]) -> np.ndarray:
        """Return the unit vectors of images, float32 of shape (n, dim)."""

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        """Return the unit vectors of texts, float32 of shape (n, dim)."""

    def common_words(self) -> Sequence[str]:
        """Return at least a hundred words that people often use."""


def unit_vectors(vectors: npt.ArrayLike) -> np.ndarray:
    """Scale vectors to length 1, so that a dot product is a cosine.

    Milvus Lite silently accepts NaN, so values that are not finite are refused here.

    Parameters
    ----------
    vectors : array_like, shape (dim,) or (n, dim)

    Returns
    -------
    ndarray of float32, of the same shape

    Raises
    ------
    ValueError
        If a vector has an entry that is not finite, or has length zero (below 1e-6).
    """
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ValueError("an embedding has entries that are not finite: check the model's weights")
    if (norms < 1e-6).any():
        raise ValueError("a vector has length zero, so no direction: check what it was made from")
    return vectors / norms
