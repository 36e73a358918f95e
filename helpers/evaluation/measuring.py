"""Evaluate a search: every query against every image, in blocks, without one call of Milvus.

Ways to search are compared with one another, and your figures with those that others published.
All ways search the same images for the same queries, which are compared one by one.

Not about what is right (`judgements`) or what a metric is (`metrics`).
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from ..encoding import Encoder
from ..query.chance import SAMPLE
from ..query.logic import Logic
from ..query.queries import PLAIN, parse
from .figures import Interval, Tabled, counted, difference, interval
from .judgements import LABELS, Judgements, Pool
from .metrics import measure, rank

Templates = Sequence[str] | None
"""Phrasings for the queries, see `ClipEncoder.encode_texts`; None leaves them as they are."""

AT = (1, 5, 10)
"""The k of `success`; the last one is that of precision, recall and nDCG as well."""

_DIGITS = 6  # scores that are the same so far are ties: copies of a photo differ in the last bit
_CELLS = 1 << 24  # scores computed at once: 64 MB
_FOLDER = Path(__file__).parent
_PHRASES = 20_000  # texts that a comparison encodes for one phrasing, at most


@dataclass(frozen=True, repr=False)
class Evaluation(Tabled):
    """How well queries found what they should; a notebook shows it as a table.

    Attributes
    ----------
    title : str
        What was searched for what.
    values : DataFrame
        A row a query: `query`, how many are `relevant`, its `kind` if any, and its metrics.
    chance : DataFrame
        The same metrics for scores that say nothing.
    groups : sequence
        Queries of one group are not independent, see `interval`.
    pool : int
        How many items each query was compared with.
    rankers : ndarray of float32, shape (queries, dim), or list of Logic
        The queries themselves; if they are not texts, what `search` ranks by for each.
    note : str
    """

    title: str
    values: pd.DataFrame
    chance: pd.DataFrame
    groups: Sequence[Hashable]
    pool: int
    rankers: np.ndarray | list
    note: str = ""

    def of(self, metric: str) -> Interval:
        """Return the mean of a metric over the queries that have something to find."""
        return interval(self.values[metric], self.groups)

    def table(self) -> pd.DataFrame:
        """Return each metric's mean, its 95 % interval, what chance gets, and how they compare."""
        rows = []
        for metric, luck in self.chance.mean().items():
            own = self.of(metric)
            rows.append((own.mean, own.range, luck, own.beside(luck, "no better than chance")))
        columns = ["mean", "95 % interval", "chance", "compared with chance"]
        return pd.DataFrame(rows, self.chance.columns, columns)

    @property
    def queries(self) -> int:
        """How many queries have something to find."""
        return int((self.values["relevant"] > 0).sum())

    def _heading(self) -> str:
        queries = counted(self.queries, "query", "queries")
        words = f"{self.title}: {queries}, a pool of {self.pool:,}"
        if left_out := len(self.values) - self.queries:
            none = counted(left_out, "query has", "queries have")
            words += f". {none} nothing to find, and no part in this"
        return words


def evaluate(judgements: Judgements, encoder: Encoder, templates: Templates = None) -> Evaluation:
    """Search for every query, and measure how high the relevant images come.

    Parameters
    ----------
    judgements : Judgements
        Where they say what to ask instead of a text, that ranks as it does in `search`.
    encoder : ClipEncoder
        The model that filled the collection.
    templates : sequence of str, optional
        Phrasings for the queries, see `ClipEncoder.encode_texts`.
    """
    rankers: np.ndarray | list = encoder.encode_texts(judgements.queries, templates or PLAIN)
    if judgements.asked:
        some = judgements.pool.vectors[:: -(-len(judgements.pool) // SAMPLE)]
        rankers = [Logic.of(parse(q), encoder, templates, some, {}) for q in judgements.asked]
    return _evaluated(f"texts to images, {judgements.source}", judgements, rankers)


def zero_shot(judgements: Judgements, encoder: Encoder, templates: Templates = None) -> Evaluation:
    """Search among the queries' texts for every image: the question turned round.

    With class folders, its success at 1 is what is known as zero-shot accuracy (Radford et al.
    2021, section 3.1). With captions, it is the other way of the protocol. Images that are relevant
    for no query are left out.

    Returns
    -------
    Evaluation
        Its `values` have two columns more, which are numbers of queries: an image's `own` (the
        first of several), and which it is `taken for`. Images with the same own one are a group.
    """
    queries = pd.Series(list(judgements.relevant)).explode().dropna().astype(int)
    by_image = queries.groupby(queries, sort=False).groups
    images, relevant = list(by_image), [numbers.to_numpy() for numbers in by_image.values()]
    own = np.array([numbers[0] for numbers in relevant])
    names = [judgements.pool.filepaths[image] for image in images]
    groups = [judgements.groups[query] for query in own]
    texts = encoder.encode_texts(judgements.queries, templates or PLAIN)
    pool = Pool(list(judgements.queries), [], texts, judgements.pool.folder)
    turned = Judgements(judgements.source, names, relevant, groups, pool, note=judgements.note)
    vectors = judgements.pool.vectors[images]
    made = _evaluated(f"images to texts, {judgements.source}", turned, vectors)
    best = np.concatenate([scores.argmax(axis=1) for scores in score_blocks(vectors, pool)])
    taken_for = np.where(made.values["success at 1"] > 0, own, best)
    return replace(made, values=made.values.assign(**{"own": own, "taken for": taken_for}))


def _evaluated(title: str, judgements: Judgements, rankers: np.ndarray | list) -> Evaluation:
    """Measure what queries find against what is right; refuse if nothing is."""
    if not any(map(len, judgements.relevant)):
        raise ValueError(
            f"no query of these {judgements.source} has anything to find: say of some images that "
            f"they are relevant. {judgements.note}".strip()
        )
    scores = chain.from_iterable(score_blocks(rankers, judgements.pool))
    pairs = zip(scores, judgements.relevant, strict=True)
    metrics = pd.DataFrame([measure(rank(each, places), AT) for each, places in pairs])
    numbers, pool = [len(places) for places in judgements.relevant], len(judgements.pool)
    about = {"query": list(judgements.queries), "kind": list(judgements.kinds) or ""}
    values = pd.DataFrame(about | {"relevant": numbers}).join(metrics)
    by_chance = {n: measure(rank(np.zeros(pool), np.arange(n)), AT) for n in set(numbers)}
    chance = pd.DataFrame([by_chance[number] for number in numbers if number])
    return Evaluation(title, values, chance, judgements.groups, pool, rankers, judgements.note)


def score_blocks(rankers: np.ndarray | list, pool: Pool) -> Iterator[np.ndarray]:
    """Yield the scores of queries and pool, a few rows at once, rounded so that copies tie."""
    step = max(1, _CELLS // max(len(pool), 1))
    for start in range(0, len(rankers), step):
        some = rankers[start : start + step]
        if isinstance(some, np.ndarray):
            yield (some @ pool.vectors.T).round(_DIGITS)
        else:
            yield np.array([each.ranking(pool.vectors) for each in some]).round(_DIGITS)


def nearest(evaluation: Evaluation, judgements: Judgements, query: int, limit: int) -> list[int]:
    """Return the places of the images nearest to a query, the nearest first."""
    (scores,) = next(score_blocks(evaluation.rankers[query : query + 1], judgements.pool))
    return np.argsort(-scores, kind="stable")[:limit].tolist()


def phrasings(judgements: Judgements) -> dict[str, Sequence[str]]:
    """Return ways to put these queries; with captions and sentences only those that suit them.

    CLIP's eighty templates for the classes of ImageNet, and the seven of them that do slightly
    better there, are from notebooks/Prompt_Engineering_for_ImageNet.ipynb of
    https://github.com/openai/CLIP. "itap" is "I took a picture".
    """
    if judgements.source != LABELS:
        return {"as it is": ("{}",), "a photo of {}": ("a photo of {}",)}
    ways = {"the label alone": ["{}"], "a photo of a {}": ["a photo of a {}"]}
    for number in ("seven", "eighty"):
        text = (_FOLDER / f"{number}_templates.txt").read_text(encoding="utf-8")
        ways[f"CLIP's {number} templates"] = text.splitlines()
    most = _PHRASES / len(judgements)
    return {name: way for name, way in ways.items() if len(way) <= most or len(way) == 1}


@dataclass(frozen=True, repr=False)
class Comparison(Tabled):
    """Ways to search, compared query by query; shown as a table.

    Attributes
    ----------
    figures : DataFrame
        That table, with intervals.
    queries, pool : int
        How many queries with something to find, and how many images.
    """

    figures: pd.DataFrame
    queries: int
    pool: int

    def table(self) -> pd.DataFrame:
        """Return the figures."""
        return self.figures

    def _heading(self) -> str:
        return f"{counted(self.queries, 'query', 'queries')}, a pool of {self.pool:,} images"


def compare(evaluations: Mapping[str, Evaluation], metric: str = "R-precision") -> Comparison:
    """Compare several ways to search with the first of them, query by query; a row a way.

    Raises
    ------
    ValueError
        If they are not of the same queries and the same number of images.
    """
    first, base = next(iter(evaluations.items()))
    rows = []
    for name, evaluation in evaluations.items():
        if list(evaluation.values["query"]) != list(base.values["query"]):
            raise ValueError(f"{name!r} and {first!r} are not of the same queries")
        if evaluation.pool != base.pool:
            raise ValueError(f"{name!r} and {first!r} have pools of different sizes")
        found = evaluation.of(metric)
        more = difference(evaluation.values[metric], base.values[metric], base.groups)
        change = f"{more.mean:+.3f}", more.range, more.beside(0, "no difference seen")
        rows.append((found.mean, found.range, *change))
    columns = [metric, "95 % interval", "difference", "its 95 % interval", "so it is"]
    figures = pd.DataFrame(rows, list(evaluations), columns)
    figures.iloc[0, 2:] = ""
    return Comparison(figures, base.queries, base.pool)


def by_kind(typed: Evaluation, asked: Evaluation, metric: str = "R-precision") -> Comparison:
    """Compare hard questions as they are typed with the same as queries; a row a kind.

    Both are of the same questions, see `judgements.from_drawings`. A kind for which nothing is
    right has no row.
    """
    values, rows = typed.values.assign(asked=asked.values[metric]).dropna(), {}
    for kind, some in values.groupby("kind", sort=False):
        one, other, words = some[metric], some["asked"], some["query"]
        found = interval(one, words), interval(other, words), difference(other, one, words)
        rows[kind] = len(some), *map(str, found), found[-1].beside(0, "no difference seen")
    columns = ["questions", "typed", "as a query", "difference", "so as a query it is"]
    return Comparison(pd.DataFrame(rows, columns).T, typed.queries, typed.pool)


def beside_published(
    judgements: Judgements, evaluation: Evaluation, zero_shot: Evaluation
) -> pd.DataFrame:
    """Return your figures, and below them what others published for ViT-B/32, with the pools.

    open_clip: docs/openclip_retrieval_results.csv of https://github.com/mlfoundations/open_clip.
    CLIP_benchmark: https://github.com/LAION-AI/CLIP_benchmark. OpenAI: the notebook that
    `phrasings` names.
    """
    texts = f"{zero_shot.pool:,} texts, {zero_shot.queries:,} images"
    turned = zero_shot.of("success at 1")
    if judgements.source == LABELS:
        found = [("yours, zero-shot accuracy", turned, texts)]
    else:
        names, images = [f"success at {k}" for k in AT], f"{evaluation.pool:,} images"
        found = [(f"yours, text to image, {name}", evaluation.of(name), images) for name in names]
        found.append(("yours, image to text, success at 1", turned, texts))
    rows = [(name, each.mean, each.range, pool, "here") for name, each, pool in found]
    columns = ["figure", "value", "95 % interval", "pool", "source"]
    published = pd.read_csv(_FOLDER / "published.csv").assign(**{"95 % interval": ""})
    alike = published.loc[published["judged by"] == judgements.source, columns]
    both = pd.concat([pd.DataFrame(rows, columns=columns), alike])
    return both.round(3).set_index("figure").rename_axis(None)
