"""Evaluate a search: every query against every image, in blocks, without one call of Milvus.

Not about what is right (`judgements`) or what a metric is (`metrics`).
"""

import functools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..encoding import Encoder
from ..query.queries import PLAIN
from .intervals import Interval, interval
from .judgements import CAPTIONS, Judgements, Pool
from .metrics import measure, rank
from .tables import Tabled, counted

AT = (1, 5, 10)
"""The k of `success`; the last one is that of precision, recall and nDCG as well."""

DIGITS = 6
"""Scores that are the same to so many digits are ties: copies of a photo differ in the last bit."""

_CELLS = 1 << 24  # scores computed at once: 64 MB
_FAILED = 500  # queries whose mistakes are looked at, at most


@dataclass(frozen=True, repr=False)
class Evaluation(Tabled):
    """How well queries found what they should; a notebook shows it as a table.

    Attributes
    ----------
    title : str
        What was searched for what.
    values : DataFrame
        A row a query: `query`, how many are `relevant`, and its metrics.
    chance : DataFrame
        The same metrics for scores that say nothing.
    groups : sequence
        Queries of one group are not independent, see `intervals.interval`.
    pool : int
        How many items each query was compared with.
    vectors : ndarray of float32, shape (queries, dim)
        The queries themselves.
    note : str
    """

    title: str
    values: pd.DataFrame
    chance: pd.DataFrame
    groups: Sequence[Hashable]
    pool: int
    vectors: np.ndarray
    note: str = ""

    def of(self, metric: str) -> Interval:
        """Return the mean of a metric over the queries that have something to find."""
        return interval(self.values[metric], self.groups)

    def table(self) -> pd.DataFrame:
        """Return each metric's mean, its 95 % interval, what chance gets, and how they compare."""
        rows = []
        for metric in self.chance.columns:
            found, chance = self.of(metric), float(self.chance[metric].mean())
            rows.append((found.mean, found.range, chance, _beside(found, chance)))
        columns = ["mean", "95 % interval", "chance", "compared with chance"]
        return pd.DataFrame(rows, self.chance.columns, columns)

    def _heading(self) -> str:
        count = int((self.values["relevant"] > 0).sum())
        left_out = len(self.values) - count
        words = f"{self.title}: {counted(count, 'query', 'queries')}, a pool of {self.pool:,}"
        if left_out:
            none = counted(left_out, "query has", "queries have")
            words += f". {none} nothing to find, and no part in this"
        return f"{words}. {self.note}" if self.note else words


@dataclass(frozen=True)
class ZeroShot:
    """Which query's text is nearest to each image; a notebook shows it as one line.

    Attributes
    ----------
    classes : sequence of str
        The queries.
    own, taken_for : ndarray of int, shape (n,)
        For each image that is relevant for some query: that query, and the nearest one.
    right : ndarray, shape (n,)
        1 or 0; with ties the probability.
    groups : sequence of n
    images : ndarray of int, shape (n,)
        Their places in the pool.
    chance : float
        The accuracy of a guess.
    """

    classes: Sequence[str]
    own: np.ndarray
    taken_for: np.ndarray
    right: np.ndarray
    groups: Sequence[Hashable]
    images: np.ndarray
    chance: float

    @property
    def accuracy(self) -> Interval:
        """The share of images with their own text nearest; the images of a class are a group."""
        return interval(self.right, self.groups)

    def confusions(self) -> pd.DataFrame:
        """Return which classes are taken for which, as places, the most frequent first."""
        wrong = self.own != self.taken_for
        pairs = pd.DataFrame({"class": self.own[wrong], "taken for": self.taken_for[wrong]})
        return pairs.value_counts().reset_index(name="images")

    def shares(self, classes: Sequence[int]) -> np.ndarray:
        """Return which share of the images of each class (row) is taken for each (column)."""
        taken_for = [self.taken_for[self.own == place] for place in classes]
        return np.array(
            [
                [(each == other).mean() if len(each) else 0 for other in classes]
                for each in taken_for
            ]
        )

    def __repr__(self) -> str:
        return (
            f"zero-shot accuracy {self.accuracy}: {len(self.own):,} images, "
            f"{len(self.classes):,} texts, 95 % interval; chance is {self.chance:.3f}"
        )


def evaluate(
    judgements: Judgements, encoder: Encoder, templates: Sequence[str] | None = None
) -> Evaluation:
    """Search for every query, and measure how high the relevant images come.

    Parameters
    ----------
    judgements : Judgements
    encoder : ClipEncoder
        The model that filled the collection.
    templates : sequence of str, optional
        Phrasings for the queries, see `ClipEncoder.encode_texts`.
    """
    vectors = encoder.encode_texts(judgements.queries, templates or PLAIN)
    blocks = score_blocks(vectors, judgements.pool)
    title = f"texts to images, {judgements.source}"
    return measured(title, judgements, vectors, blocks)


def evaluate_captions(
    judgements: Judgements, encoder: Encoder, templates: Sequence[str] | None = None
) -> Evaluation:
    """Search among captions for every image that has some: the other way of the protocol.

    Raises
    ------
    ValueError
        If the judgements are no captions.
    """
    if judgements.source != CAPTIONS:
        raise ValueError(f"{judgements.source} are not captions, among which one could search")
    of_image: dict[int, list[int]] = {}
    for caption, places in enumerate(judgements.relevant):
        of_image.setdefault(int(places[0]), []).append(caption)
    images, pool = list(of_image), judgements.pool
    captions = encoder.encode_texts(judgements.queries, templates or PLAIN)
    names = [pool.filepaths[image] for image in images]
    turned = Judgements(
        CAPTIONS,
        names,
        [np.array(each) for each in of_image.values()],
        images,
        Pool(list(judgements.queries), [], captions, pool.folder),
        note=judgements.note,
    )
    vectors = pool.vectors[images]
    blocks = score_blocks(vectors, turned.pool)
    return measured("images to texts, captions", turned, vectors, blocks)


def zero_shot(
    judgements: Judgements, encoder: Encoder, templates: Sequence[str] | None = None
) -> ZeroShot:
    """Take each image for the query whose text is nearest (Radford et al. 2021, section 3.1).

    With class folders, its accuracy is what is known as zero-shot accuracy. With captions, it is
    the success at 1 from image to text. Images that are relevant for no query are left out.
    """
    texts = encoder.encode_texts(judgements.queries, templates or PLAIN)
    sizes = [len(places) for places in judgements.relevant]
    of_query = np.repeat(np.arange(len(judgements)), sizes)
    images, of_image = np.unique(np.concatenate(list(judgements.relevant)), return_inverse=True)
    order = np.argsort(of_image, kind="stable")
    of_image, of_query = of_image[order], of_query[order]
    own, taken_for, right = [], [], []
    step = max(1, _CELLS // len(texts))
    for start in range(0, len(images), step):
        vectors = judgements.pool.vectors[images[start : start + step]]
        scores = (vectors @ texts.T).round(DIGITS)
        pairs = slice(*np.searchsorted(of_image, [start, start + len(vectors)]))
        is_own = np.zeros(scores.shape, bool)
        is_own[of_image[pairs] - start, of_query[pairs]] = True
        best = scores == scores.max(axis=1, keepdims=True)
        among_own = np.where(is_own, scores, -np.inf).argmax(axis=1)
        hits = (best & is_own).sum(axis=1)
        own.append(among_own)
        taken_for.append(np.where(hits, among_own, scores.argmax(axis=1)))
        right.append(hits / best.sum(axis=1))
    mine = np.concatenate(own)
    groups = [judgements.groups[query] for query in mine]
    return ZeroShot(
        judgements.queries,
        mine,
        np.concatenate(taken_for),
        np.concatenate(right),
        groups,
        images,
        len(of_query) / (len(images) * len(texts)),
    )


def measured(
    title: str, judgements: Judgements, vectors: np.ndarray, blocks: Iterable[np.ndarray]
) -> Evaluation:
    """Measure scores, blocks of rows with one for each query, against what is right.

    Raises
    ------
    ValueError
        If no query has anything to find.
    """
    if not any(map(len, judgements.relevant)):
        raise ValueError(
            f"no query of these {judgements.source} has anything to find: say of some images that "
            f"they are relevant. {judgements.note}".strip()
        )
    scores = (row for block in blocks for row in block)
    pairs = zip(scores, judgements.relevant, strict=True)
    measured = [measure(rank(row, places), AT) for row, places in pairs]
    pool = len(judgements.pool)
    numbers = [len(places) for places in judgements.relevant]
    values = pd.DataFrame(measured)
    values[[not number for number in numbers]] = np.nan  # the precision would be 0
    values.insert(0, "query", list(judgements.queries))
    values.insert(1, "relevant", numbers)
    chance = pd.DataFrame([_by_chance(pool, number) for number in numbers if number])
    return Evaluation(title, values, chance, judgements.groups, pool, vectors, judgements.note)


def score_blocks(vectors: np.ndarray, pool: Pool) -> Iterator[np.ndarray]:
    """Yield the cosines of queries and pool, a few rows at once, rounded so that copies tie."""
    step = max(1, _CELLS // max(len(pool), 1))
    for start in range(0, len(vectors), step):
        yield (vectors[start : start + step] @ pool.vectors.T).round(DIGITS)


def shared_mistakes(evaluation: Evaluation, judgements: Judgements) -> dict[int, list[str]]:
    """Return wrong images that several queries find, with these queries; the most first.

    The images that count are the first R of a query for which R are relevant. Queries of one
    group, such as the captions of one photo, count once.

    Returns
    -------
    dict
        From the place of an image in the pool to queries.
    """
    failed = evaluation.values.nsmallest(_FAILED, "R-precision")
    found: dict[int, dict[Hashable, str]] = {}
    for query in failed.index[failed["R-precision"] < 1]:
        for place in wrong_hits(evaluation, judgements, query):
            by_group = found.setdefault(place, {})
            by_group.setdefault(judgements.groups[query], judgements.queries[query])
    shared = {place: list(each.values()) for place, each in found.items() if len(each) > 1}
    return dict(sorted(shared.items(), key=lambda item: len(item[1]), reverse=True))


def wrong_hits(evaluation: Evaluation, judgements: Judgements, query: int) -> list[int]:
    """Return the places of wrong images among a query's first R, the nearest first."""
    found = nearest(evaluation, judgements, query, max(len(judgements.relevant[query]), 1))
    return [place for place in found if judgements.verdict(query, place) == "wrong"]


def nearest(evaluation: Evaluation, judgements: Judgements, query: int, limit: int) -> list[int]:
    """Return the places of the images nearest to a query, the nearest first."""
    scores = judgements.pool.vectors @ evaluation.vectors[query]
    return np.argsort(-scores, kind="stable")[:limit].tolist()


@functools.lru_cache(maxsize=1000)
def _by_chance(pool: int, relevant: int) -> dict[str, float]:
    return measure(rank(np.zeros(pool), np.arange(relevant)), AT)


def _beside(found: Interval, chance: float) -> str:
    if not found.known:
        return "too few queries"
    if found.holds(chance):
        return "no better than chance"
    return "better" if found.mean > chance else "worse"
