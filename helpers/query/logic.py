"""Not and or: images ranked by how far they stand out, where vectors cannot say what is meant.

CLIP reads "a star that is not red" as a text about red stars, and the sum of the vectors of two
things lies between both, where images of neither may lie. So a query with `unlike` or `AnyOf` is
taken apart into sums of terms (see `queries.Sum`), and each sum gives each image a *standing*: how
many standard deviations its cosine is above those of random images of the collection, once most of
what all queries share is taken off (see `Chance.aim`). Then

- *or* is the largest of the standings;
- *not* takes its weight times the standing of what to stay away from, where that is above 0. What
  looks alike in both, such as the dog in a picture of a dog to stay away from, does not count: the
  standing for is taken off by linear regression first. Of several, the one that takes most counts.

`tests/benchmarks` measures both on drawings whose attributes are known, and says when it fails.

Milvus is asked for the nearest images of each sum, by the vectors that standings rank by. Those are
the candidates, which are ranked here. An image that is no candidate ranks below the last of them at
best: see `Logic.highest_unseen`.

A query that is but one sum is left alone: images rank by its cosine, as Milvus returns them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..encoding import Encoder, unit_vectors
from .chance import FEWEST, Chance, among_others, random_terms
from .queries import Question

_SAME = 0.999  # correlation of what is looked for and what is not, if they are one and the same
_ALIKE = 1e-6  # a spread below it is rounding


class Logic(NamedTuple):
    """A query as sums of terms.

    Attributes
    ----------
    sums : sequence of Chance
        First the ways: an image should be like one of them. Then what it should be like none of.
    ways : int
        How many ways there are; none if the query only says what to stay away from.
    weights : sequence of float
        Of each that an image should not be like, above 0.
    """

    sums: Sequence[Chance]
    ways: int
    weights: Sequence[float]

    @classmethod
    def of(
        cls,
        question: Question,
        encoder: Encoder,
        templates: Sequence[str] | None,
        images: np.ndarray,
        known: Mapping[Any, np.ndarray],
    ) -> "Logic":
        """Take a question apart; for the other arguments and errors see `among_others`."""
        sums = question.sums
        kinds = set().union(*(each.kinds for each in sums))
        pools = random_terms(kinds, encoder, templates, images)
        drawn = [among_others(each, encoder, templates, images, known, pools) for each in sums]
        made = cls(drawn, len(question.ways), [weight for _, weight in question.away])
        if len(made.images):
            made.ranking(made.images)  # raises if it cancels itself out
        return made

    @property
    def images(self) -> np.ndarray:
        """Random images; none if there are too few."""
        images = self.sums[0].images
        return images if len(images) >= FEWEST else images[:0]

    @property
    def is_sum(self) -> bool:
        """Whether there is nothing to decide."""
        return self.ways == len(self.sums) == 1

    def vectors(self) -> np.ndarray:
        """Return what to ask Milvus for the nearest of, unit vectors of shape (n, dim)."""
        if self.is_sum:
            return self.sums[0].vector[None]
        aims = np.array([each.aim() for each in self.sums])
        if self.ways:
            return unit_vectors(aims[: self.ways])
        spreads = _spread(aims @ self.images.T) if len(self.images) else np.ones(len(aims))
        return unit_vectors(-(self.weights / spreads) @ aims)[None]

    def ranking(self, vectors: np.ndarray) -> np.ndarray:
        """Return what images with unit vectors (n, dim) rank by, the best highest: shape (n,).

        Of a sum it is the cosine. Else its unit is a standard deviation of random images.
        """
        if self.is_sum:
            return vectors @ self.sums[0].vector
        among = self.images if len(self.images) else vectors
        standings, others = self._standings(vectors), self._standings(among)
        away, aways = standings[self.ways :], others[self.ways :]
        if not self.ways:
            return -np.array(self.weights) @ away
        like, likes = (each[: self.ways].max(axis=0) for each in (standings, others))
        ranks = [like]
        for weight, here, there in zip(self.weights, away, aways, strict=True):
            ranks.append(like - weight * _beyond(here, like, there, likes))
        return np.min(ranks, axis=0)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return the cosines with the way that images suit best, shape (n,).

        If there is none, it is minus the largest of the cosines with what to stay away from.
        """
        cosines = np.array([each.vector for each in self.sums]) @ vectors.T
        if not self.ways:
            return -cosines.max(axis=0)
        best = self._standings(vectors)[: self.ways].argmax(axis=0)
        return cosines[best, np.arange(len(vectors))]

    def margins(self, vectors: np.ndarray) -> list[float | None]:
        """Return how far images are above chance; None where there is no telling.

        Of a sum, see `Chance.margins`. Else it is the ranking.
        """
        if self.is_sum:
            return self.sums[0].margins(vectors)
        if not len(self.images) or self.images.std(axis=0).max() < _ALIKE:
            return [None] * len(vectors)
        return self.ranking(vectors).tolist()

    def highest_unseen(self, vectors: np.ndarray, nearest: int) -> float:
        """Return what images may rank by at most that are not among the nearest of any way."""
        if len(vectors) < nearest or not self.ways:
            return -np.inf
        return float(np.sort(self._standings(vectors)[: self.ways])[:, -nearest].max())

    def _standings(self, vectors: np.ndarray) -> np.ndarray:
        """Return by how many standard deviations images are above random ones: (sums, n).

        Where there are too few of these, by how many above their own mean.
        """
        aims = np.array([each.aim() for each in self.sums])
        among = aims @ (self.images if len(self.images) else vectors).T
        return (aims @ vectors.T - among.mean(axis=1)[:, None]) / _spread(among)[:, None]


def _spread(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each row; 1 of a row whose values are alike."""
    spreads = values.std(axis=-1)
    return np.where(spreads > _ALIKE, spreads, 1.0)


def _beyond(away: np.ndarray, like: np.ndarray, aways: np.ndarray, likes: np.ndarray) -> np.ndarray:
    """Return the standing of what to stay away from without what it shares with what one likes.

    `aways` and `likes` are both standings of random images. What is below 0 is 0.
    """
    spread = float(_spread(likes))
    shared = max(float(np.mean((aways - aways.mean()) * (likes - likes.mean()))) / spread, 0.0)
    if shared > _SAME:
        raise ValueError("the query cancels itself out: its terms for and against are the same")
    left = (away - shared * (like - likes.mean()) / spread) / np.sqrt(1 - shared**2)
    return np.maximum(left, 0.0)
