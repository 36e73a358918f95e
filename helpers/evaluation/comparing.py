"""Compare ways to search: phrasings, models, precisions, and an approximate index.

All of them search the same images for the same queries, which are compared one by one.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ..collection.store import ImageStore
from ..collection.trial import search_by_index
from ..models.acceleration import has_fast_bfloat16
from ..models.encoder import ClipEncoder
from .intervals import Interval, difference
from .judgements import LABELS, Judgements, read_pool
from .measuring import AT, DIGITS, Evaluation, ZeroShot, evaluate, measured
from .references import EIGHTY, PUBLISHED, SEVEN
from .tables import Tabled, counted

_PHRASES = 20_000  # texts that a comparison encodes for one phrasing, at most
_NOT_FOUND = -2.0  # below any cosine


def phrasings(judgements: Judgements) -> dict[str, Sequence[str]]:
    """Return ways to put these queries; with captions and sentences only those that suit them."""
    if judgements.source != LABELS:
        return {"as it is": ("{}",), "a photo of {}": ("a photo of {}",)}
    ways: dict[str, Sequence[str]] = {
        "the label alone": ("{}",),
        "a photo of a {}": ("a photo of a {}",),
        "CLIP's seven templates": SEVEN,
        "CLIP's eighty templates": EIGHTY,
    }
    most = _PHRASES / len(judgements)
    return {name: way for name, way in ways.items() if len(way) <= most or len(way) == 1}


def other_models(store: ImageStore, judgements: Judgements) -> dict[str, Evaluation]:
    """Evaluate the collections of the same folder in the same database that other models filled.

    One that holds other images, or whose model cannot be opened, is left out with a warning.
    """
    found = {}
    for other in store.others():
        with other:
            name = f"{other.properties['model_name']} ({other.collection_name})"
            model_name = other.properties.get("model") or other.properties["model_name"]
            try:
                same = judgements.within(read_pool(other))
                encoder = ClipEncoder(model_name)
                other.check_model(encoder)
                found[name] = evaluate(same, encoder)
            except (ValueError, OSError, ImportError) as error:
                warnings.warn(f"{name} is left out: {error}", stacklevel=2)
    return found


def other_precision(encoder: ClipEncoder, judgements: Judgements) -> dict[str, Evaluation]:
    """Encode images and queries again: in float32, or where the model runs in it, in bfloat16.

    Nothing, if some of the images are not there any more, or bfloat16 would be slow here; or, with
    a warning, if one cannot be read.
    """
    if encoder.precision == "float32" and encoder.device == "cpu" and not has_fast_bfloat16():
        return {}
    pool = judgements.pool
    paths = pool.paths(range(len(pool)))
    if not all(path.is_file() for path in paths):
        return {}
    precision = "bfloat16" if encoder.precision == "float32" else "float32"
    other = ClipEncoder(encoder.model_name, encoder.device, precision)
    try:
        vectors = other.encode_images(paths, progress=True)
    except (ValueError, OSError) as error:
        warnings.warn(f"{precision} is left out: {error}", stacklevel=2)
        return {}
    again = replace(pool, vectors=vectors)
    return {f"{precision}, not {encoder.precision}": evaluate(judgements.within(again), other)}


def index_on_trial(evaluation: Evaluation, judgements: Judgements) -> dict[str, Evaluation]:
    """Search with an approximate index (HNSW, in Milvus Lite) instead of exactly.

    What the index does not find counts as found last, in any order.
    """
    pool = judgements.pool
    limit = min(max(AT[-1], *map(len, judgements.relevant)), len(pool))
    found = search_by_index(pool.vectors, evaluation.vectors, limit)

    def scores() -> Iterator[np.ndarray]:
        for vector, places in zip(evaluation.vectors, found, strict=True):
            row = np.full((1, len(pool)), _NOT_FOUND, np.float32)
            there = places[places >= 0]
            row[0, there] = (pool.vectors[there] @ vector).round(DIGITS)
            yield row

    return {
        "an HNSW index, not exact": measured(
            evaluation.title, judgements, evaluation.vectors, scores()
        )
    }


@dataclass(frozen=True, repr=False)
class Comparison(Tabled):
    """Several ways to search, and how each differs from the first; shown as a table.

    Attributes
    ----------
    metric : str
    figures : dict of Interval
        The metric's mean for each way.
    differences : dict of Interval
        By how much each way but the first is higher than the first, query by query.
    queries, pool : int
        How many queries with something to find, and how many images.
    """

    metric: str
    figures: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    queries: int
    pool: int

    def verdict(self, way: str) -> str:
        """Return whether a way is better or worse than the first, or no difference was seen."""
        if way not in self.differences:
            return ""
        more = self.differences[way]
        if not more.known:
            return "too few queries"
        return "no difference seen" if more.holds(0) else "better" if more.mean > 0 else "worse"

    def table(self) -> pd.DataFrame:
        """Return the figures, the differences and the verdicts, a row a way."""
        rows = []
        for way, found in self.figures.items():
            more = self.differences.get(way)
            change = (f"{more.mean:+.3f}", more.range) if more else ("", "")
            rows.append((found.mean, found.range, *change, self.verdict(way)))
        columns = [self.metric, "95 % interval", "difference", "its 95 % interval", "so it is"]
        return pd.DataFrame(rows, list(self.figures), columns)

    def _heading(self) -> str:
        return f"{counted(self.queries, 'query', 'queries')}, a pool of {self.pool:,} images"


def compare(evaluations: Mapping[str, Evaluation], metric: str = "R-precision") -> Comparison:
    """Compare several ways to search with the first of them, query by query.

    Raises
    ------
    ValueError
        If they are not of the same queries and the same number of images.
    """
    (first, base), *others = evaluations.items()
    for name, evaluation in others:
        if list(evaluation.values["query"]) != list(base.values["query"]):
            raise ValueError(f"{name!r} and {first!r} are not of the same queries")
        if evaluation.pool != base.pool:
            raise ValueError(f"{name!r} and {first!r} have pools of different sizes")
    return Comparison(
        metric,
        {name: evaluation.of(metric) for name, evaluation in evaluations.items()},
        {
            name: difference(evaluation.values[metric], base.values[metric], base.groups)
            for name, evaluation in others
        },
        int((base.values["relevant"] > 0).sum()),
        base.pool,
    )


def beside_published(
    judgements: Judgements, evaluation: Evaluation, zero_shot: ZeroShot
) -> pd.DataFrame:
    """Return your figures, and below them what others published for ViT-B/32, with the pools."""
    of_images = f"{evaluation.pool:,} images"
    of_texts = f"{len(zero_shot.classes):,} texts, {len(zero_shot.images):,} images"
    rows = []
    if judgements.source == LABELS:
        rows.append(("yours, zero-shot accuracy", zero_shot.accuracy, of_texts))
    else:
        for k in AT:
            found = evaluation.of(f"success at {k}")
            rows.append((f"yours, text to image, success at {k}", found, of_images))
        rows.append(("yours, image to text, success at 1", zero_shot.accuracy, of_texts))
    names = [name for name, *_ in rows]
    cells = [(round(found.mean, 3), found.range, pool, "here") for _, found, pool in rows]
    for name, value, pool, source in PUBLISHED.get(judgements.source, []):
        names.append(name)
        cells.append((round(value, 3), "", pool, source))
    return pd.DataFrame(cells, names, ["value", "95 % interval", "pool", "source"])
