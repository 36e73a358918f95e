"""Metrics of a ranking, each a few lines, as their authors define them.

Equal scores are ties, and what is tied could come in any order. So every metric here is its mean
over all orders of the ties (McSherry and Najork 2008, "Computing information retrieval performance
measures efficiently in the presence of tied scores", ECIR). A model that gives all images the same
score gets exactly what chance would get, and copies of a photo cannot help or harm.

Some names mean different things to different people. "Recall at k" in the papers on CLIP is
`success` here. Not about intervals: those are in `figures`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_FEW = 16  # scores, up to which counting what is higher is quicker than sorting


class Ranking(NamedTuple):
    """All that metrics need of a ranking: the positions at which relevant items can be.

    Without ties, there is one position for each relevant item, and all chances are 1. If nothing is
    relevant, no chance is known: all are NaN, and so is every metric.

    Attributes
    ----------
    position : ndarray of int, shape (m,)
        In ascending order; 1 is the first.
    chance : ndarray, shape (m,)
        The probability that a relevant item is there.
    before : ndarray, shape (m,)
        If one is there: how many relevant items are expected before it.
    first : ndarray, shape (m,)
        The probability that the first of all relevant items is there.
    relevant : int
        How many items are relevant.
    """

    position: np.ndarray
    chance: np.ndarray
    before: np.ndarray
    first: np.ndarray
    relevant: int


def rank(scores: np.ndarray, relevant: np.ndarray) -> Ranking:
    """Rank items by their scores, the highest first.

    Parameters
    ----------
    scores : ndarray, shape (n,)
    relevant : ndarray of int
        The places of the relevant items, each once.
    """
    if not len(relevant):
        unknown = np.full(1, np.nan)
        return Ranking(np.zeros(1), unknown, unknown, unknown, 0)
    values, among = np.unique(-scores[relevant], return_counts=True)
    above, size = _count(-scores, values)
    tie = np.repeat(np.arange(len(size)), size)  # of each position
    place = np.arange(len(tie)) - (np.cumsum(size) - size)[tie]  # among those tied
    before = (np.cumsum(among) - among)[tie]
    return Ranking(
        position=above[tie] + place + 1,
        chance=(among / size)[tie],
        before=before + place * ((among - 1) / np.maximum(size - 1, 1))[tie],
        first=_first(int(size[0]), int(among[0]), len(place)),
        relevant=len(relevant),
    )


def precision(ranking: Ranking, k: int) -> float:
    """Return which share of the first k is relevant: hits / k, also if there are fewer than k."""
    return float(ranking.chance[ranking.position <= k].sum() / k)


def recall(ranking: Ranking, k: int) -> float:
    """Return which share of the relevant is among the first k: hits / R.

    The definition of information retrieval; for that of the papers on CLIP see `success`.
    """
    return float(ranking.chance[ranking.position <= k].sum() / ranking.relevant)


def success(ranking: Ranking, k: int) -> float:
    """Return whether anything relevant is among the first k: 1 or 0, with ties the probability.

    It is called "recall at k" in the protocols of Flickr30k and COCO (Karpathy and Li 2015,
    https://arxiv.org/abs/1412.2306).
    """
    return min(float(ranking.first[ranking.position <= k].sum()), 1.0)


def r_precision(ranking: Ranking) -> float:
    """Return the precision at R, if R items are relevant, which is the recall at R as well."""
    return recall(ranking, ranking.relevant)


def average_precision(ranking: Ranking) -> float:
    """Return the mean, over all relevant items, of the precision where each is found.

    It divides by R, how many are relevant, not by how many were found, and has no cut (Manning
    et al., Introduction to Information Retrieval, section 8.4).
    """
    precisions = ranking.chance * (1 + ranking.before) / ranking.position
    return float(precisions.sum() / ranking.relevant)


def reciprocal_rank(ranking: Ranking) -> float:
    """Return 1 / the position of the first relevant item."""
    return float((ranking.first / ranking.position).sum())


def ndcg(ranking: Ranking, k: int) -> float:
    """Return the discounted cumulative gain of the first k, as a share of the best possible.

    A relevant item gains 1, divided by log2(1 + position) (Järvelin and Kekäläinen 2002, "Cumulated
    gain-based evaluation of IR techniques", in the form that most use today).
    """
    within = ranking.position <= k
    gained = (ranking.chance[within] / np.log2(1 + ranking.position[within])).sum()
    best = (1 / np.log2(1 + np.arange(1, min(ranking.relevant, k) + 1))).sum()
    return float(gained / best)


def measure(ranking: Ranking, at: Sequence[int]) -> dict[str, float]:
    """Return the metrics of a ranking by their names: `success` at each k, others at the last."""
    last = at[-1]
    return {
        "R-precision": r_precision(ranking),
        "average precision": average_precision(ranking),
        "reciprocal rank": reciprocal_rank(ranking),
        **{f"success at {k}": success(ranking, k) for k in at},
        f"precision at {last}": precision(ranking, last),
        f"recall at {last}": recall(ranking, last),
        f"nDCG at {last}": ndcg(ranking, last),
    }


def _count(scores: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many scores are below each value, and how many are equal to it."""
    if len(values) <= _FEW:
        each = values[:, None]
        return (scores < each).sum(axis=1), (scores == each).sum(axis=1)
    ordered = np.sort(scores)
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return low, high - low


def _first(size: int, among: int, length: int) -> np.ndarray:
    """Return the probabilities that the first relevant item is at each place of the first tie."""
    place = np.arange(size)
    misses = np.maximum(size - among - place, 0) / (size - place)
    until_there = np.concatenate([[1.0], np.cumprod(misses)[:-1]])
    return np.append(until_there * among / (size - place), np.zeros(length - size))
