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
    ways : sequence of Chance
        An image should be like one of them; none if the query only says what to stay away from.
    away : sequence of pairs (Chance, float)
        What an image should be like none of, with weights above 0.
    """

    ways: Sequence[Chance]
    away: Sequence[tuple[Chance, float]]

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
        away = question.away
        sums = [*question.ways, *(each for each, _ in away)]
        kinds = set().union(*(each.kinds for each in sums))
        pools = random_terms(kinds, encoder, templates, images)
        drawn = [among_others(each, encoder, templates, images, known, pools) for each in sums]
        ways = drawn[: len(drawn) - len(away)]
        weights = [weight for _, weight in away]
        made = cls(ways, [*zip(drawn[len(ways) :], weights, strict=True)])
        if ways and away and len(made.images):
            made.ranking(made.images)  # raises if it cancels itself out
        return made

    @property
    def images(self) -> np.ndarray:
        """Random images; none if there are too few."""
        images = (self.ways[0] if self.ways else self.away[0][0]).images
        return images if len(images) >= FEWEST else images[:0]

    @property
    def is_sum(self) -> bool:
        """Whether there is nothing to decide."""
        return len(self.ways) == 1 and not self.away

    def vectors(self) -> np.ndarray:
        """Return what to ask Milvus for the nearest of, unit vectors of shape (n, dim)."""
        if self.is_sum:
            return self.ways[0].vector[None]
        if self.ways:
            return unit_vectors([way.aim() for way in self.ways])
        among = self._among(self.away[0][0].vector[None])
        aims = [weight * each.aim() / _spread(among @ each.aim()) for each, weight in self.away]
        return unit_vectors([-np.sum(aims, axis=0)])

    def ranking(self, vectors: np.ndarray) -> np.ndarray:
        """Return what images with unit vectors (n, dim) rank by, the best highest: shape (n,).

        Of a sum it is the cosine. Else its unit is a standard deviation of random images.
        """
        if self.is_sum:
            return self.scores(vectors)
        among = self._among(vectors)
        if not self.ways:
            taken = [weight * _standing(each, vectors, among) for each, weight in self.away]
            return -np.sum(taken, axis=0)
        like, likes = (self._standings(some, among).max(axis=0) for some in (vectors, among))
        rank = like
        for each, weight in self.away:
            away, aways = (_standing(each, some, among) for some in (vectors, among))
            rank = np.minimum(rank, like - weight * _beyond(away, like, aways, likes))
        return rank

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Return the cosines with the way that images suit best, shape (n,).

        If there is none, it is minus the largest of the cosines with what to stay away from.
        """
        if not self.ways:
            return -np.max([vectors @ each.vector for each, _ in self.away], axis=0)
        cosines = np.array([vectors @ way.vector for way in self.ways])
        best = self._standings(vectors, self._among(vectors)).argmax(axis=0)
        return np.take_along_axis(cosines, best[None], axis=0)[0]

    def margins(self, vectors: np.ndarray) -> list[float | None]:
        """Return how far images are above chance; None where there is no telling.

        Of a sum, see `Chance.margins`. Else it is the ranking.
        """
        if self.is_sum:
            return self.ways[0].margins(vectors)
        if not len(self.images) or self.images.std(axis=0).max() < _ALIKE:
            return [None] * len(vectors)
        return self.ranking(vectors).tolist()

    def highest_unseen(self, vectors: np.ndarray, nearest: int) -> float:
        """Return what images may rank by at most that are not among the nearest of any way."""
        if len(vectors) < nearest or not self.ways:
            return -np.inf
        standings = self._standings(vectors, self._among(vectors))
        return float(np.sort(standings, axis=1)[:, -nearest].max())

    def _standings(self, vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
        return np.array([_standing(way, vectors, among) for way in self.ways])

    def _among(self, vectors: np.ndarray) -> np.ndarray:
        """Return random images; where there are too few, the ones that are compared."""
        return self.images if len(self.images) else vectors


def _standing(sum_: Chance, vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Return by how many standard deviations images are above random ones, shape (n,)."""
    aim = sum_.aim()
    others = among @ aim
    return (vectors @ aim - others.mean()) / _spread(others)


def _spread(values: np.ndarray) -> float:
    spread = float(values.std())
    return spread if spread > _ALIKE else 1.0


def _beyond(away: np.ndarray, like: np.ndarray, aways: np.ndarray, likes: np.ndarray) -> np.ndarray:
    """Return the standing of what to stay away from without what it shares with what one likes.

    `aways` and `likes` are both standings of random images. What is below 0 is 0.
    """
    spread = _spread(likes)
    shared = max(float(np.mean((aways - aways.mean()) * (likes - likes.mean()))) / spread, 0.0)
    if shared > _SAME:
        raise ValueError("the query cancels itself out: its terms for and against are the same")
    left = (away - shared * (like - likes.mean()) / spread) / np.sqrt(1 - shared**2)
    return np.maximum(left, 0.0)
