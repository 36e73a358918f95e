"""Texts and pictures in one query: how their vectors are added.

CLIP puts texts and images into different regions (the modality gap, Liang et al. 2022,
https://arxiv.org/abs/2203.02053), and the cosines of two images differ more than those of a text
and images. So in a plain sum a picture drowns the words. Where a query mixes texts and pictures,

- a text's vector is taken from the mean of its kind, which is that of common words in the same
  phrasings, at most four of them (as in Li et al. 2025, "Closing the Modality Gap for Mixed
  Modality Search", https://arxiv.org/abs/2507.19054);
- each vector is taken in units of the *spread* of its kind: by how much terms of that kind, from
  their mean, move the cosines of the collection's images, from theirs (the root mean square). This
  is our own. With it, equal weights have an equal say, whatever the model.

The paper takes images from their mean, too, queries and collection alike. Milvus holds the vectors
as they are, and if only the query's were moved, a picture would no longer find itself first: those
that lie further out in its direction would. In `tests/benchmarks` that did not help either.

A query of one kind is a plain sum. So is one with a vector, which does not say what it is of, and
one that is asked of fewer than 20 images, or of images that are all alike.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ..encoding import Encoder

FEWEST = 20
"""Images; fewer say too little about chance."""

PLAIN = ("{}",)
"""The phrasing of a text as it is."""

SAMPLE = 1000
"""Images that represent all: their mean is then accurate to 3 % of their spread."""

TEXT, IMAGE = "text", "image"
"""The kinds of terms."""

WORDS = 100
"""Common words that stand for all texts."""

_PHRASINGS = 4  # more would take seconds
_ALIKE = 1e-6  # a spread below it is rounding


class _Term(Protocol):
    """A term of a query: of what kind it is (TEXT, IMAGE, or "" if unknown), and others like it."""

    kind: str

    def at_random(
        self,
        encoder: Encoder,
        templates: Sequence[str],
        words: Sequence[str],
        images: np.ndarray,
    ) -> np.ndarray: ...


class Scale(NamedTuple):
    """Where a kind of vectors has its zero, and its unit."""

    centre: np.ndarray | float = 0.0
    spread: float = 1.0

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors as seen from the centre, in units of the spread."""
        return (vectors - self.centre) / self.spread


def mixes(terms: Sequence[_Term]) -> bool:
    """Return whether there are texts and pictures among the terms, and nothing unknown."""
    kinds = {term.kind for term in terms}
    return len(kinds) > 1 and "" not in kinds


def scales(
    terms: Sequence[_Term],
    encoder: Encoder,
    templates: Sequence[str] | None,
    images: np.ndarray,
) -> list[Scale]:
    """Return the scale of each term; see the module's description.

    Parameters
    ----------
    terms
    encoder, templates
        As in `search`.
    images : ndarray, shape (n, dim)
        A sample of the collection.
    """
    plain = [Scale()] * len(terms)
    if len(images) < FEWEST or not mixes(terms):
        return plain
    one_of_each = {term.kind: term for term in terms}
    pools = random_terms(list(one_of_each.values()), encoder, templates, images)
    moments = _moments(images)
    known = {
        kind: Scale(_mean(pool) if kind == TEXT else 0.0, _spread(pool, moments))
        for kind, pool in zip(one_of_each, pools, strict=True)
    }
    if min(scale.spread for scale in known.values()) < _ALIKE:
        return plain
    return [known[term.kind] for term in terms]


def random_terms(
    terms: Sequence[_Term],
    encoder: Encoder,
    templates: Sequence[str] | None,
    images: np.ndarray,
) -> list[np.ndarray]:
    """Return for each term the vectors of others that could be in its place."""
    phrasings = templates or PLAIN
    phrasings = phrasings[:: math.ceil(len(phrasings) / _PHRASINGS)]
    words = random.Random(0).sample(encoder.common_words(), WORDS)  # the same ones every time
    return [term.at_random(encoder, phrasings, words, images) for term in terms]


def combine(vectors: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the sum of unit vectors, or of arrays of them, each times its share of the weights."""
    shares = np.asarray(weights, np.float32) / np.abs(weights).sum()
    return sum(share * vector for share, vector in zip(shares, vectors, strict=True))


def _spread(pool: np.ndarray, moments: np.ndarray) -> float:
    """Return the spread of a pool's kind, by the second moments of images around their mean."""
    square = float((_moments(pool) * moments).sum())  # of a cosine, the mean over all pairs
    return math.sqrt(max(square, 0.0))


def _moments(vectors: np.ndarray) -> np.ndarray:
    """Return the second moments of vectors around their mean, shape (dim, dim)."""
    around = vectors - _mean(vectors)
    return around.T @ around / len(vectors)


def _mean(vectors: np.ndarray) -> np.ndarray:
    """Return the mean, the same one in whatever order Milvus returns the vectors."""
    return vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
