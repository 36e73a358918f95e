"""Scores one can read: how far a hit stands above chance, and whether that is a match.

A cosine means little by itself: its scale differs from model to model, from query to query and
from image to image. So each hit also gets a margin, by the symmetric score normalisation
("S-norm") of speaker verification, which has the same question to answer (Shum et al.,
"Unsupervised speaker adaptation based on the cosine similarity", Odyssey 2010; to use it for CLIP
is our own idea). It is the mean of two standard scores:

- of the hit's cosine among those of *random images* of the collection with this query,
- of the hit's cosine among those of *random queries* of the same kind with this image. In a
  random query each text is a common word in the same phrasings (four of them, where there are
  more), and each image is one of the collection's; weights stay.

So 0 is what chance gives, and the unit is about one standard deviation of chance. The second
half is what tells "a star" where stars abound from a word that means nothing.
"""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..collection.store import ImageStore
from ..models.encoder import ClipEncoder
from ..vectors import unit_vectors
from .queries import NOTHING, Question, combine

__all__ = ["calibration_file", "margins", "match_threshold"]

_SAMPLE = 1000  # images stand for all: their mean is then within 3 % of their spread
_FEWEST = 20  # images; with fewer there is no chance to speak of
_WORDS = 100
_PHRASINGS = 4  # more would take seconds


def margins(
    question: Question,
    query_vector: np.ndarray,
    hit_vectors: np.ndarray,
    encoder: ClipEncoder,
    store: ImageStore,
    templates: Sequence[str] | None = None,
) -> list[float | None]:
    """Say how far hits stand above chance; see the module's description.

    Parameters
    ----------
    question : Question
    query_vector : ndarray, shape (dim,)
        What its `vector` gives.
    hit_vectors : ndarray, shape (n, dim)
        Unit vectors of images that the query found.
    encoder, store, templates
        As in `search`.

    Returns
    -------
    list of n floats
        None where there is no telling: fewer than 20 images, all alike, or a query made of
        vectors only, which do not say what they are of.
    """
    unknown: list[float | None] = [None] * len(hit_vectors)
    if not unknown:
        return unknown
    images = store.sample(_SAMPLE)
    if len(images) < _FEWEST:
        return unknown
    queries = _random_queries(question, images, encoder, templates)
    if not len(queries):
        return unknown
    scores = hit_vectors @ query_vector
    by_image, by_query = images @ query_vector, queries @ hit_vectors.T
    spreads = by_image.std(), by_query.std(axis=0)
    if min(spreads[0], spreads[1].min(initial=1)) < 1e-6:
        return unknown
    among_images = (scores - by_image.mean()) / spreads[0]
    among_queries = (scores - by_query.mean(axis=0)) / spreads[1]
    return ((among_images + among_queries) / 2).tolist()


def match_threshold(
    question: Question,
    encoder: ClipEncoder,
    store: ImageStore,
    templates: Sequence[str] | None = None,
) -> float | None:
    """Give the margin from which on a best hit counts as a match; None: nobody measured that.

    It is measured for a model, a collection (with fewer kinds of images, margins are smaller) and
    for single texts as they are, and is read from `calibration_file`.
    """
    if templates or not question.is_one_text:
        return None
    path = calibration_file(encoder)
    if not path.exists():
        return None
    try:
        calibration = json.loads(path.read_text(encoding="utf-8"))
        measured = calibration["digest"], calibration["collection_name"]
        threshold = float(calibration["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no calibration ({error!r}): mend it or delete it") from error
    return threshold if measured == (encoder.digest, store.collection_name) else None


def calibration_file(encoder: ClipEncoder) -> Path:
    """Say where a model's calibration is: beside its checkpoint, ending in .calibration.json."""
    return encoder.path.with_suffix(".calibration.json")


def _random_queries(
    question: Question,
    images: np.ndarray,
    encoder: ClipEncoder,
    templates: Sequence[str] | None,
) -> np.ndarray:
    """Ask at random: shape (at most _WORDS, dim); without those that cancel themselves out."""
    phrasings = templates or ("{}",)
    phrasings = phrasings[:: math.ceil(len(phrasings) / _PHRASINGS)]
    words = random.Random(0).sample(encoder.common_words(), _WORDS)  # the same ones every time
    vectors = []
    for place, term in enumerate(question.terms):
        pool = term.at_random(encoder, phrasings, words, images)
        # Another start for each term, lest the same word be liked and disliked.
        vectors.append(pool[(np.arange(_WORDS) + 7 * place) % len(pool)])
    sums = combine(vectors, question.weights)
    return unit_vectors(sums[np.linalg.norm(sums, axis=1) > NOTHING])
