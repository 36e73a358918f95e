"""What a question is compared with: others like it, drawn at random in the same collection.

This tells how much texts and pictures count in one query, and what a score means.

**One scale for texts and pictures.** CLIP puts texts and images into different regions (the
modality gap, Liang et al. 2022, https://arxiv.org/abs/2203.02053), and the cosines of two images
differ more than those of a text and images. So in a plain sum a picture drowns the words. Where a
query mixes texts and pictures,

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

**Margins.** A cosine means little by itself: its scale differs from model to model, from query to
query and from image to image. So each hit also gets a margin: how far it is above chance. It is the
symmetric score normalisation ("S-norm") of speaker verification, which has the same problem (Shum
et al., "Unsupervised speaker adaptation based on the cosine similarity", Odyssey 2010; its use for
CLIP is our own idea). It asks two questions:

- Where is the hit's cosine among those of *random images* of the collection with this query?
- Where is it among those of *random queries* of the same kind with this image? In a random query,
  each text is one of those common words, and each image is one of the collection's. The weights
  stay, and so does the scale of each term.

Each answer is a standard score, and the margin is the mean of the two. So 0 is pure chance, and
the unit is about one standard deviation of chance. Among many stars, it is the second question
that tells "a star" from a word that means nothing.
"""

import json
import math
import random
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..collection.store import ImageStore
from ..encoding import Encoder, unit_vectors
from .queries import IMAGE, PLAIN, TEMPLATES, TEXT, Question, Sum

FEWEST = 20
"""Images; fewer say too little about chance."""

SAMPLE = 1000
"""Images that represent all: their mean is then accurate to 3 % of their spread."""

NEAREST = 10
"""Hits at least whose margins give the verdict, so that a small limit does not change it."""

# Ways to ask that suit what people type: phrasings, and whether `FromMean`; the plain one first.
# Each costs a search four texts at most. Collections remember the names.
WAYS = {
    "texts as they are": (PLAIN, False),
    "texts in four phrasings": (TEMPLATES, False),
    "texts from their mean": (PLAIN, True),
    "texts in four phrasings, from their mean": (TEMPLATES, True),
}

_UNKNOWN_WAY = (
    "This version does not know the way to ask that is kept here: run 06_evaluation again"
)

_WORDS = 100  # common words that stand for all texts
_PHRASINGS = 4  # more would take seconds
_COMMON = 0.2  # of a query's own influence, what it shares with all others may have
_ALIKE = 1e-6  # a spread below it is rounding
_NOTHING = 1e-3  # a sum that is shorter has no direction


class Scale(NamedTuple):
    """Where a kind of vectors has its zero, and its unit."""

    centre: np.ndarray | float = 0.0
    spread: float = 1.0

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors as seen from the centre, in units of the spread."""
        return (vectors - self.centre) / self.spread


class Chance(NamedTuple):
    """A sum of terms among others like it.

    Attributes
    ----------
    vector : ndarray, shape (dim,)
        The sum's unit vector.
    images, queries : ndarrays, shape (n, dim)
        Random images, and random queries without any that cancel out; none if there are fewer
        than 20 images.
    centre : ndarray, shape (dim,)
        The mean of the random queries, if these are texts; else empty.
    """

    vector: np.ndarray
    images: np.ndarray
    queries: np.ndarray
    centre: np.ndarray

    def margins(self, vectors: np.ndarray) -> list[float | None]:
        """Return how far images with unit vectors (n, dim) are above chance.

        None where there is no verdict: the collection has fewer than 20 images, or all are alike,
        or the query is made of vectors only, which do not say what they are of.
        """
        among_images, among_queries = self.images @ self.vector, self.queries @ vectors.T
        above = above_chance(vectors @ self.vector, among_images, among_queries)
        return [None] * len(vectors) if above is None else above.tolist()

    def aim(self) -> np.ndarray:
        """Return the vector without most of what all texts say, shape (dim,).

        What they say is their mean. Where it moves the images' cosines more than what this text
        says beyond it, it would decide alone; so it is left a fifth of that influence at most. To
        take all of it away costs more than it gains where there is little of it. Both were measured
        on drawings: see `tests/benchmarks`.
        """
        if not len(self.centre):
            return self.vector
        own = self.vector - self.centre
        most = _COMMON * (self.images @ own).std()
        left = most / max((self.images @ self.centre).std(), most, _ALIKE)
        return own + left * self.centre


def among_others(
    question: Sum,
    encoder: Encoder,
    templates: Sequence[str] | None,
    images: np.ndarray,
    known: Mapping[Any, np.ndarray],
    pools: Mapping[str, np.ndarray] | None = None,
) -> Chance:
    """Draw random queries like a sum of terms, and bring the terms to one scale.

    Parameters
    ----------
    question : Sum
    encoder, templates
        As in `search`.
    images : ndarray, shape (n, dim)
        A sample of the collection.
    known : dict
        From paths of images to vectors, which need not be encoded.
    pools : dict, optional
        What `random_terms` returns, if it is there already.

    Raises
    ------
    ValueError
        If a vector has another length, or the terms cancel each other out.
    OSError
        If an image cannot be read.
    """
    if pools is None:
        pools = random_terms(question.kinds, encoder, templates, images)
    units = scales(**pools) if question.mixes and pools else {}
    vectors, others = [], []
    for place, term in enumerate(question.terms):
        is_known = term.path in known
        vector = known[term.path] if is_known else term.vector(encoder, templates or PLAIN)
        scale, pool = units.get(term.kind, Scale()), pools.get(term.kind, vector[None])
        vectors.append(scale(vector))
        # Each term starts elsewhere, so that no word is added to itself.
        others.append(scale(pool[(np.arange(_WORDS) + 7 * place) % len(pool)]))
    total, drawn = (combine(each, question.weights) for each in (vectors, others))
    if np.linalg.norm(total) < _NOTHING:
        raise ValueError("the query cancels itself out: its terms for and against are the same")
    queries = unit_vectors(drawn[np.linalg.norm(drawn, axis=1) > _NOTHING])
    are_texts = bool(pools) and question.kinds == {TEXT}
    centre = queries.mean(axis=0) if are_texts else np.empty(0, np.float32)
    return Chance(unit_vectors(total), images.reshape(-1, encoder.dim), queries, centre)


def random_terms(
    kinds: Collection[str], encoder: Encoder, templates: Sequence[str] | None, images: np.ndarray
) -> dict[str, np.ndarray]:
    """Return unit vectors of random texts and images; none if there are fewer than 20 images."""
    if len(images) < FEWEST:
        return {}
    texts = random_texts(encoder, templates) if TEXT in kinds else images
    return {TEXT: texts, IMAGE: images}


def random_texts(encoder: Encoder, templates: Sequence[str] | None) -> np.ndarray:
    """Return the unit vectors of a hundred common words, in at most four of these phrasings."""
    phrasings = templates or PLAIN
    phrasings = phrasings[:: math.ceil(len(phrasings) / _PHRASINGS)]
    words = random.Random(0).sample(encoder.common_words(), _WORDS)  # the same ones every time
    return encoder.encode_texts(words, phrasings)


def scales(text: np.ndarray, image: np.ndarray) -> dict[str, Scale]:
    """Return the scales of TEXT and IMAGE, from random ones; empty if all images are alike."""
    moments = [np.cov(vectors.T, bias=True) for vectors in (text, image)]  # around their means
    squares = [float((each * moments[1]).sum()) for each in moments]  # of a cosine, over all pairs
    spreads = [math.sqrt(max(square, 0.0)) for square in squares]
    if min(spreads) < _ALIKE:
        return {}
    centre = text.mean(axis=0, dtype=np.float64).astype(np.float32)
    return {TEXT: Scale(centre, spreads[0]), IMAGE: Scale(0.0, spreads[1])}


def combine(vectors: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the sum of unit vectors, or of arrays of them, each times its share of the weights."""
    shares = np.asarray(weights, np.float32) / np.abs(weights).sum()
    return sum(share * vector for share, vector in zip(shares, vectors, strict=True))


def above_chance(
    scores: np.ndarray, among_images: np.ndarray, among_queries: np.ndarray
) -> np.ndarray | None:
    """Return the margins of images, shape (n,); see the module's description.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        The cosines of a query and the images.
    among_images : ndarray, shape (m,)
        The cosines of the query and random images.
    among_queries : ndarray, shape (q, n)
        The cosines of random queries and the images.

    Returns
    -------
    ndarray or None
        None if there are fewer than 20 random images, no random query, or all are alike.
    """
    if len(among_images) < FEWEST or not len(among_queries):
        return None
    spread, spreads = among_images.std(), among_queries.std(axis=0)
    if min(spread, spreads.min(initial=1)) < _ALIKE:
        return None
    by_image = (scores - among_images.mean()) / spread
    return (by_image + (scores - among_queries.mean(axis=0)) / spreads) / 2


def match_threshold(
    question: Question, encoder: Encoder, store: ImageStore, templates: Sequence[str] | None
) -> float | None:
    """Return the margin at which a best hit begins to count as a match.

    It is measured for one model and one collection (with fewer kinds of images, margins are
    smaller), for single texts that are asked in the same way. `helpers.calibrate` keeps it with the
    collection. For the demo's, it comes with the model, in `calibration_file`. It is None if it was
    not measured, or kept without its errors, as earlier versions did with a coin's.

    Raises
    ------
    ValueError
        If that file is not a calibration.
    """
    if not question.is_one_text:
        return None
    kept, asked = store.calibration, wording(encoder, templates)
    if "errors" in kept and kept["templates"] == asked:
        return float(kept["threshold"])
    path = calibration_file(encoder)
    if asked != [*PLAIN] or not path.exists():
        return None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        here = known["digest"] == encoder.digest, known["collection_name"] == store.collection_name
        return float(known["threshold"]) if all(here) else None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a calibration ({error!r}): mend or delete it") from error


def calibration_file(encoder: Encoder) -> Path:
    """Return the path of a model's calibration file, beside its checkpoint."""
    return encoder.path.with_suffix(".calibration.json")


class FromMean:
    """An encoder whose texts are taken from the mean of their kind; the rest is as it was.

    Where texts lie far from images, what all texts share has its own cosine with each image, which
    ranks that image high or low whatever is asked for. Without the mean of common words in the
    same phrasings, this bias is gone: to take it off the text is to take it off each image. Nearest
    Neighbor Normalization takes off what an image's nearest of many queries share (Chowdhury et
    al. 2024, https://arxiv.org/abs/2410.24114), and Li et al. 2025 the mean of either kind
    (https://arxiv.org/abs/2507.19054). It helps some models and harms others, see `helpers.tune`.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] = PLAIN) -> np.ndarray:
        """Return the unit vectors of texts, seen from their mean."""
        centre = random_texts(self._encoder, templates).mean(axis=0)
        return unit_vectors(self._encoder.encode_texts(texts, templates) - centre)


def way_in_use(
    encoder: Encoder, store: ImageStore, templates: Sequence[str] | None
) -> tuple[Any, Sequence[str] | None, str]:
    """Return the encoder and the phrasings to ask a collection with, and words about them.

    The caller's own phrasings come first, then the way that `helpers.tune` kept. A way that this
    version does not know is not used, and the words say what to do.
    """
    way = store.way
    if templates or not way:
        return encoder, templates, ""
    if (name := str(way.get("name"))) not in WAYS:
        return encoder, templates, _UNKNOWN_WAY
    return *asked_by(encoder, name), str(way.get("words"))


def asked_by(encoder: Encoder, way: str) -> tuple[Any, Sequence[str]]:
    """Return the encoder and the phrasings of one of the `WAYS`."""
    phrasings, moved = WAYS[way]
    return FromMean(encoder) if moved else encoder, phrasings


def wording(encoder: Encoder, templates: Sequence[str] | None) -> list[str]:
    """Return how texts are asked, as a calibration keeps it: a threshold is of one way."""
    moved = ["from their mean"] if isinstance(encoder, FromMean) else []
    return [*(templates or PLAIN), *moved]
