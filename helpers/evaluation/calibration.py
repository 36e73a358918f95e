"""Where matches begin: the margin that tells what is shown from what is not, for any collection.

Queries that images show are compared with queries that no image shows, each among as many images:
the largest of many margins is larger by chance alone. The threshold is chosen on one half of the
queries and judged on the other, which had no part in it.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import DisjointSet
from sklearn.metrics import roc_curve

from ..collection.store import ImageStore
from ..encoding import Encoder
from ..query.chance import FEWEST, NEAREST, above_chance, random_texts, way_in_use, wording
from ..query.queries import PLAIN
from ..settings import check_flags
from .figures import UNKNOWN, Interval, Tabled, area_interval, interval, total
from .judgements import BY_HAND, CAPTIONS, Judgements, from_labels
from .measuring import score_blocks

_KINDS = ["present", "absent"]
_ENOUGH = 10  # queries of each kind in each half
_MOST = 1000  # queries; more would not make it surer
_WORST = 0.8  # missed and false alarms together; a coin has 1, whatever its threshold
_DRAWS = 500


@dataclass(frozen=True, repr=False)
class Calibration(Tabled):
    """Where matches begin, and how sure that is; a notebook shows it as a table.

    Attributes
    ----------
    threshold : float or None
        The margin from which on the best hit counts as a match. None if it was refused.
    refusal : str
        Why there is no threshold.
    spread : Interval
        The threshold's own 95 % interval.
    area : Interval
        The area under the ROC curve: how often something shown has a larger margin than something
        not shown. 0.5 is chance.
    missed, false_alarms : Interval
        Of what is shown, and of what is not: the share on the wrong side of the threshold.
    errors : Interval
        The sum of these two: a coin has 1, whatever its threshold. The interval of a threshold
        that is not refused lies below 0.8.
    kept : bool
        Whether the collection remembers the threshold now.
    margins : DataFrame
        `query`; `kind`: "present" or "absent"; `part`: "set" or "judge"; `margin`, the largest
        one among the images compared, as `search` finds it; `group`, the same for what is not
        independent. All but `spread` is measured on the part "judge".
    source, templates, images
        What it was measured with.
    note : str
    """

    margins: pd.DataFrame
    source: str
    templates: Sequence[str]
    images: int
    threshold: float | None = None
    refusal: str = ""
    spread: Interval = UNKNOWN
    area: Interval = UNKNOWN
    missed: Interval = UNKNOWN
    false_alarms: Interval = UNKNOWN
    errors: Interval = UNKNOWN
    kept: bool = False
    note: str = ""

    @property
    def judged(self) -> pd.DataFrame:
        """The half of `margins` on which the threshold was judged."""
        return self.margins[self.margins["part"] == "judge"]

    def table(self) -> pd.DataFrame:
        """Return the figures and their intervals, and how many queries each is from."""
        rows = {
            "matches begin at a margin of": self.spread,
            "area under the ROC curve": self.area,
            "shown, but called no match": self.missed,
            "not shown, but called a match": self.false_alarms,
            "both errors together, where a coin has 1": self.errors,
        }
        cells = {name: (each.mean, each.range, each.n) for name, each in rows.items() if each.n}
        return pd.DataFrame.from_dict(cells, "index", columns=["value", "95 % interval", "margins"])

    def _heading(self) -> str:
        words = f"Calibration with {self.source}, {self.images:,} images"
        return f"{words}. {self.refusal}" if self.refusal else words


def calibrate(
    encoder: Encoder,
    store: ImageStore,
    judgements: Judgements | None = None,
    templates: Sequence[str] | None = None,
    keep: bool = True,
    seed: int = 0,
) -> Calibration:
    """Measure where matches begin in a collection, and keep it there for `search` to use.

    What is not shown comes from leaving out what is. With class folders, each class is asked for
    once among the images of the other classes, and once with as many of those left out at random
    instead. With captions, it is the photo of the caption that is left out; others may suit it as
    well, so the threshold is rather strict. With judged queries, the images judged to be wrong are
    compared with as many among which are the right ones. What was not judged may be right, so
    judge the first ten of each query: it says nothing about what is not shown if the nearest image
    that is not right was not judged. A query for which no image is right counts as it is.

    Parameters
    ----------
    encoder : ClipEncoder
        The model that filled the store.
    store : ImageStore
    judgements : Judgements, optional
        By default the class folders.
    templates : sequence of str, optional
        The threshold then holds for searches with the same templates. By default it is of the way
        that `helpers.tune` kept; else of texts as they are.
    keep : bool
        Whether the collection remembers it, instead of what it remembered before.
    seed : int
        Of the halves, and of what is left out at random.

    Returns
    -------
    Calibration
        Without a threshold, and with the reason, if there are fewer than 20 queries of each kind,
        or if missed and false alarms together are not clearly fewer than a coin's: their interval
        has to lie below 0.8, where a coin has 1. Then nothing is kept, and a threshold of before
        still holds.

    Raises
    ------
    ValueError
        If another model filled the store.
    NothingJudgedError
        If no judgements are given, and there are fewer than two labels.
    """
    check_flags(keep=keep)
    store.check_model(encoder)
    encoder, templates, _ = way_in_use(encoder, store, templates)
    judgements = once_each(judgements or from_labels(store))
    found = _largest_margins(judgements, encoder, templates or PLAIN, seed)
    margins = pd.DataFrame(found, columns=["query", "kind", "group", "margin"])
    margins["group"] = pd.factorize(margins["group"])[0]
    margins["part"] = np.where(margins["group"].isin(_judging_half(margins, seed)), "judge", "set")
    images, note = len(judgements.pool), judgements.note
    way = wording(encoder, templates)
    made = _choose(Calibration(margins, judgements.source, way, images, note=note))
    if made.threshold is not None:
        return _kept(made, store) if keep else made
    if "errors" not in (older := store.calibration):
        return made
    words = f"The threshold of {older['threshold']:.1f} still holds, which was measured before"
    return replace(made, note=f"{made.note} {words}".strip())


def pick_threshold(present: pd.Series, margins: pd.Series) -> float:
    """Return the margin that separates best, where the sum of both error rates is least.

    That is the largest J of Youden (1950, "Index for rating diagnostic tests"). The threshold is
    half-way to the next lower margin, so that it favours neither side.
    """
    wrong, right, thresholds = roc_curve(present, margins)
    best = thresholds[(right - wrong).argmax()]
    return float((best + margins[margins < best].max()) / 2)


def _choose(made: Calibration) -> Calibration:
    """Add the threshold and how good it is, or why there is none."""
    if refusal := _too_few(made):
        return replace(made, refusal=refusal)
    present, absent = (made.judged[made.judged["kind"] == kind] for kind in _KINDS)
    chosen = made.margins[made.margins["part"] == "set"]
    threshold = pick_threshold(chosen["kind"] == "present", chosen["margin"])
    missed = interval(present["margin"] < threshold, present["group"])
    false_alarms = interval(absent["margin"] >= threshold, absent["group"])
    errors = total(missed, false_alarms)
    area = area_interval(present["margin"], absent["margin"], (present["group"], absent["group"]))
    made = replace(made, area=area, missed=missed, false_alarms=false_alarms, errors=errors)
    if errors.high >= _WORST or not np.isfinite(threshold):
        return replace(
            made,
            refusal="Margins do not tell here what is shown from what is not: a threshold's two "
            f"errors together are {errors}, where a coin has 1 and the interval has to lie below "
            f"{_WORST}. More queries make it narrower",
        )
    return replace(made, threshold=threshold, spread=_spread(threshold, chosen))


def _too_few(made: Calibration) -> str:
    """Return what there is too little of for a threshold; empty if there is enough."""
    if made.images < FEWEST:
        return f"Fewer than {FEWEST} images say too little about chance"
    if made.margins.empty:
        return "There are no margins here: all images are alike"
    counts = made.margins.groupby(["part", "kind"])["group"].nunique().unstack()
    counts = counts.reindex(index=["set", "judge"], columns=_KINDS).fillna(0).astype(int)
    if counts.min(axis=None) >= _ENOUGH:
        return ""
    shown, not_shown = (" and ".join(map(str, counts[kind])) for kind in _KINDS)
    return (
        "There are too few queries for a threshold: the halves have "
        f"{shown} that images show, and {not_shown} that none shows. {_ENOUGH} of each are "
        "needed in both. Write down more queries, and judge what is wrong as well, in a file "
        "for the parameter `judged`"
    )


def _judging_half(table: pd.DataFrame, seed: int) -> list[int]:
    """Return every second group at random, of each mixture of kinds that a group can be."""
    mixtures = table.groupby("group")["kind"].agg(lambda kinds: " ".join(sorted(set(kinds))))
    mixed = mixtures.sample(frac=1, random_state=seed).sort_values(kind="stable")
    return mixed.index[::2].tolist()


def _spread(threshold: float, chosen: pd.DataFrame) -> Interval:
    """Return the threshold with the percentile bootstrap's interval; groups are drawn."""
    chance, drawn = np.random.default_rng(0), []
    groups = list(chosen.groupby("group").indices.values())
    for _ in range(_DRAWS):
        numbers = chance.integers(len(groups), size=len(groups))
        rows = chosen.iloc[np.concatenate([groups[number] for number in numbers])]
        if rows["kind"].nunique() == 2:
            drawn.append(pick_threshold(rows["kind"] == "present", rows["margin"]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(threshold, float(low), float(high), len(chosen))


def _kept(made: Calibration, store: ImageStore) -> Calibration:
    """Let the collection remember the threshold."""
    figures = {"threshold": made.spread, "area": made.area, "errors": made.errors}
    known = {name: round(figure.mean, 3) for name, figure in figures.items()}
    about = {"templates": made.templates, "images": made.images, "source": made.source}
    try:
        store.keep_calibration(known | about)
    except OSError as error:
        return replace(made, note=f"{made.note} It could not be kept: {error}".strip())
    return replace(made, kept=True)


def once_each(judgements: Judgements) -> Judgements:
    """Ask a caption that several photos have once, for all of them."""
    if judgements.source != CAPTIONS:
        return judgements
    places = pd.Series(list(judgements.relevant), list(judgements.queries)).explode().astype(int)
    photos = places.groupby(level=0, sort=False).unique()  # of each caption
    together = DisjointSet(range(len(judgements.pool)))
    for first, *others in photos:
        for other in others:  # photos that share a caption
            together.merge(first, other)
    groups = [together[each[0]] for each in photos]
    return replace(judgements, queries=list(photos.index), relevant=list(photos), groups=groups)


def _largest_margins(
    judgements: Judgements, encoder: Encoder, templates: Sequence[str], seed: int
) -> Iterator[tuple[str, str, Hashable, float]]:
    """Yield for each query its largest margin, as it is and as if no image showed it."""
    pool, chance = judgements.pool, np.random.default_rng(seed)
    chosen = range(len(judgements))
    if len(judgements) > _MOST:
        chosen = chance.choice(len(judgements), _MOST, replace=False).tolist()
    queries = encoder.encode_texts([judgements.queries[each] for each in chosen], templates)
    words = random_texts(encoder, templates)
    by_query = np.concatenate(list(score_blocks(words, pool)))
    rows = (row for block in score_blocks(queries, pool) for row in block)
    for number, scores in zip(chosen, rows, strict=True):
        for kind, left_out, among in _compared(judgements, number, scores, chance):
            margin = _largest_margin(scores, left_out, by_query, among)
            if margin is not None:
                yield judgements.queries[number], kind, judgements.groups[number], margin


def _compared(
    judgements: Judgements, number: int, scores: np.ndarray, chance: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each kind with the places that are left out for it, and of as many images that are not.

    Were it chance which images are right, both kinds would have the same margins.
    """
    relevant, everything = judgements.relevant[number], np.arange(len(scores))
    wrong = np.setdiff1d(everything, relevant, assume_unique=True)
    if judgements.source == BY_HAND and (len(relevant) or len(judgements.wrong[number])):
        wrong = judgements.wrong[number]
    if len(relevant):
        mixed = np.concatenate([chance.permutation(relevant), chance.permutation(wrong)])
        size = len(wrong)
        yield "present", mixed[size:] if size else wrong, mixed[:size] if size else everything
    # What is nearer than all that was judged to be wrong may be right.
    if scores[wrong].max(initial=-2) == np.delete(scores, relevant).max(initial=-2):
        yield "absent", relevant, wrong


def _largest_margin(
    scores: np.ndarray, left_out: np.ndarray, by_query: np.ndarray, among: np.ndarray
) -> float | None:
    """Return the largest margin of the ten images nearest to a query, as `search` does."""
    if len(among) > NEAREST:
        among = among[np.argpartition(-scores[among], NEAREST)[:NEAREST]]
    above = above_chance(scores[among], np.delete(scores, left_out), by_query[:, among])
    return None if above is None or not len(above) else float(above.max())
