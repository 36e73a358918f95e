"""Scores that can be read: how far a hit is above chance, and whether that is a match.

A cosine means little by itself: its scale differs from model to model, from query to query and
from image to image. So each hit also gets a margin. It is the symmetric score normalisation
("S-norm") of speaker verification, which has the same problem (Shum et al., "Unsupervised speaker
adaptation based on the cosine similarity", Odyssey 2010; its use for CLIP is our own idea). It
asks two questions:

- Where is the hit's cosine among those of *random images* of the collection with this query?
- Where is it among those of *random queries* of the same kind with this image? In a random query,
  each text is a common word in the same phrasings (at most four of them), and each image is one of
  the collection's. The weights stay, and so does what `mixing` does to texts and images.

Each answer is a standard score, and the margin is the mean of the two. So 0 is pure chance, and
the unit is about one standard deviation of chance. Among many stars, it is the second question
that tells "a star" from a word that means nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..collection.store import ImageStore
from ..encoding import Encoder, unit_vectors
from .mixing import FEWEST, PLAIN, SAMPLE, WORDS, random_terms
from .queries import NOTHING, Question

AGAIN = "No verdict: the threshold kept here is a coin's. Run 05_evaluation to measure it again"


def margins(
    question: Question,
    query_vector: np.ndarray,
    hit_vectors: np.ndarray,
    encoder: Encoder,
    store: ImageStore,
    templates: Sequence[str] | None = None,
) -> list[float | None]:
    """Return how far hits are above chance; see the module's description.

    Parameters
    ----------
    question : Question
        With its scales, if it mixes texts and images; see `Question.scaled`.
    query_vector : ndarray, shape (dim,)
        The question's unit vector.
    hit_vectors : ndarray, shape (n, dim)
        Unit vectors of images that the query found.
    encoder, store, templates
        As in `search`.

    Returns
    -------
    list of n floats
        None where there is no verdict: the collection has fewer than 20 images, or all are
        alike, or the query is made of vectors only, which do not say what they are of.
    """
    unknown: list[float | None] = [None] * len(hit_vectors)
    if not unknown:
        return unknown
    images = store.sample(SAMPLE)
    if len(images) < FEWEST:
        return unknown
    queries = random_queries(question, images, encoder, templates)
    if not len(queries):
        return unknown
    by_image, by_query = images @ query_vector, queries @ hit_vectors.T
    among_images = by_image.mean(), by_image.std()
    among_queries = by_query.mean(axis=0), by_query.std(axis=0)
    above = above_chance(hit_vectors @ query_vector, among_images, among_queries)
    return unknown if above is None else above.tolist()


def above_chance(
    scores: np.ndarray,
    among_images: tuple[float, float],
    among_queries: tuple[np.ndarray, np.ndarray],
) -> np.ndarray | None:
    """Return the margins of images; None if all are alike.

    Parameters
    ----------
    scores : ndarray, shape (n,)
        The cosines of a query and the images.
    among_images : (float, float)
        Mean and standard deviation of the cosines of the query and random images.
    among_queries : (ndarray, ndarray), each of shape (n,)
        Mean and standard deviation of the cosines of random queries and each of the images.
    """
    (mean, spread), (means, spreads) = among_images, among_queries
    if min(spread, spreads.min(initial=1)) < 1e-6:
        return None
    return ((scores - mean) / spread + (scores - means) / spreads) / 2


def match_threshold(
    question: Question,
    encoder: Encoder,
    store: ImageStore,
    templates: Sequence[str] | None = None,
) -> float | None:
    """Return the margin at which a best hit begins to count as a match; None if not measured.

    It is measured for one model and one collection (with fewer kinds of images, margins are
    smaller), for single texts in the same phrasings. `helpers.calibrate` keeps it with the
    collection; see `is_coin`. For the demo's, it comes with the model, in `calibration_file`.

    Raises
    ------
    ValueError
        If that file is not a calibration.
    """
    if not question.is_one_text:
        return None
    kept = store.calibration
    if kept.get("templates") == list(templates or PLAIN) and not is_coin(kept):
        return float(kept["threshold"])
    if templates:
        return None
    path = calibration_file(encoder)
    if not path.exists():
        return None
    try:
        calibration = json.loads(path.read_text(encoding="utf-8"))
        measured = calibration["digest"], calibration["collection_name"]
        threshold = float(calibration["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a calibration ({error!r}): mend or delete it") from error
    return threshold if measured == (encoder.digest, store.collection_name) else None


def is_coin(kept: Mapping[str, Any]) -> bool:
    """Return whether a threshold is no better than a coin, as earlier versions kept some.

    These kept no errors, only the area under the ROC curve, where a coin has 0.5.
    """
    return "errors" not in kept and kept.get("area", 1) < 0.6


def calibration_file(encoder: Encoder) -> Path:
    """Return the path of a model's calibration file, beside its checkpoint."""
    return encoder.path.with_suffix(".calibration.json")


def random_queries(
    question: Question,
    images: np.ndarray,
    encoder: Encoder,
    templates: Sequence[str] | None,
) -> np.ndarray:
    """Return random queries, shape (at most WORDS, dim), without any that cancel out."""
    pools = random_terms(question.terms, encoder, templates, images)
    # Each term starts elsewhere, so that no word is both liked and disliked.
    drawn = (pool[(np.arange(WORDS) + 7 * place) % len(pool)] for place, pool in enumerate(pools))
    sums = question.total(drawn)
    return unit_vectors(sums[np.linalg.norm(sums, axis=1) > NOTHING])
