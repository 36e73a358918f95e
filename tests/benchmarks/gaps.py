"""Gaps between texts and images that the demo's tiny model does not have, simulated.

In CLIP, texts and images fill different regions. Two ways in which they could are made here from
the demo's weights; nothing is measured on a real model but the drawings.
"""

import random
from collections.abc import Sequence

import numpy as np

from helpers import ClipEncoder
from helpers.encoding import unit_vectors

APART = 3.0  # how far texts are moved, and how long their own directions are; theirs is 1


class Moved:
    """An encoder whose texts are all moved by the same vector: a simulated gap."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self._encoder, self.dim = encoder, encoder.dim
        offset = np.random.default_rng(1).standard_normal(encoder.dim)
        self._offset = APART * unit_vectors(offset)

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        return unit_vectors(self._encoder.encode_texts(texts, templates) + self._offset)

    def common_words(self) -> Sequence[str]:
        return self._encoder.common_words()


class Apart(Moved):
    """An encoder whose texts say most where images say nothing, as if in other dimensions."""

    def __init__(self, encoder: ClipEncoder) -> None:
        super().__init__(encoder)
        self.dim = 2 * encoder.dim

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = ("{}",)) -> np.ndarray:
        vectors = self._encoder.encode_texts(texts, templates)
        own = [random.Random(text) for text in texts]
        drawn = np.array([[each.gauss(0, 1) for _ in range(vectors.shape[1])] for each in own])
        return unit_vectors(np.hstack([vectors, APART * unit_vectors(drawn)]))


def situations(encoder: ClipEncoder, images: np.ndarray) -> dict[str, tuple[object, np.ndarray]]:
    """Return the demo as it is, and with simulated gaps: an encoder and images each."""
    flat = np.zeros_like(images)
    return {
        "the demo": (encoder, images),
        "simulated: all texts moved": (Moved(encoder), images),
        "simulated: texts with directions of their own": (
            Apart(encoder),
            np.hstack([images, flat]),
        ),
    }
