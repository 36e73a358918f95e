"""Compare ways to search with one another, and your figures with those that others published.

All ways search the same images for the same queries, which are compared one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .figures import Interval, Tabled, counted, difference
from .judgements import LABELS, Judgements
from .measuring import AT, Evaluation, ZeroShot

_FOLDER = Path(__file__).parent
_PHRASES = 20_000  # texts that a comparison encodes for one phrasing, at most


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

    def table(self) -> pd.DataFrame:
        """Return the figures, the differences and the verdicts, a row a way."""
        rows = []
        for way, found in self.figures.items():
            change = ["", "", ""]
            if more := self.differences.get(way):
                change = [f"{more.mean:+.3f}", more.range, more.beside(0, "no difference seen")]
            rows.append((found.mean, found.range, *change))
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
    differences = {
        name: difference(evaluation.values[metric], base.values[metric], base.groups)
        for name, evaluation in others
    }
    figures = {name: evaluation.of(metric) for name, evaluation in evaluations.items()}
    return Comparison(metric, figures, differences, base.queries, base.pool)


def beside_published(
    judgements: Judgements, evaluation: Evaluation, zero_shot: ZeroShot
) -> pd.DataFrame:
    """Return your figures, and below them what others published for ViT-B/32, with the pools.

    open_clip: docs/openclip_retrieval_results.csv of https://github.com/mlfoundations/open_clip.
    CLIP_benchmark: https://github.com/LAION-AI/CLIP_benchmark. OpenAI: the notebook that
    `phrasings` names.
    """
    texts = f"{len(zero_shot.classes):,} texts, {len(zero_shot.images):,} images"
    if judgements.source == LABELS:
        found = [("yours, zero-shot accuracy", zero_shot.accuracy, texts)]
    else:
        names, images = [f"success at {k}" for k in AT], f"{evaluation.pool:,} images"
        found = [(f"yours, text to image, {name}", evaluation.of(name), images) for name in names]
        found.append(("yours, image to text, success at 1", zero_shot.accuracy, texts))
    rows = [(name, each.mean, each.range, pool, "here") for name, each, pool in found]
    columns = ["figure", "value", "95 % interval", "pool", "source"]
    published = pd.read_csv(_FOLDER / "published.csv").assign(**{"95 % interval": ""})
    alike = published.loc[published["judged by"] == judgements.source, columns]
    both = pd.concat([pd.DataFrame(rows, columns=columns), alike])
    return both.round(3).set_index("figure").rename_axis(None)
