"""A search that tunes itself: texts are asked in another way only where that is proven better.

The best of several ways to ask, `WAYS`, is chosen on one half of the questions. On the other half,
which had no part in the choice, it is compared with texts as they are, question by question.

What is compared is average precision, which moves with every place. R-precision counts only what
crosses one place: with 40 questions, it saw less of what was there to be seen.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import pandas as pd

from ..collection.store import ImageStore
from ..encoding import Encoder
from ..query.chance import WAYS, asked_by
from ..settings import check_flags
from .calibration import once_each
from .figures import UNKNOWN, Interval, difference
from .judgements import Judgements, from_labels
from .measuring import Comparison, Evaluation, compare, evaluate

METRIC = "average precision"

_PLAIN, *_OTHERS = WAYS
_ENOUGH = 40  # questions in the half that judges
_MOST = 1000  # questions in all; more would take long


@dataclass(frozen=True, repr=False)
class Tuning(Comparison):
    """The best way to ask beside texts as they are, on the half that judges; shown as a table.

    Attributes
    ----------
    best : str
        The way that is proven to be better; empty if none is.
    gain : Interval
        By how much the average precision of the way that was chosen is higher.
    kept : bool
        Whether searches in the collection ask so now.
    note : str
        By how much it is better, or why none is; and what changes.
    """

    best: str = ""
    gain: Interval = UNKNOWN
    kept: bool = False
    note: str = ""


def tune(
    encoder: Encoder,
    store: ImageStore,
    judgements: Judgements | None = None,
    keep: bool = True,
    seed: int = 0,
) -> Tuning:
    """Find out whether texts are better asked in another way, and keep that with the collection.

    From then on `search` asks texts so, unless its caller names `templates`, and `calibrate`
    measures so: a threshold of before is of another way, and is forgotten.

    What nobody judged counts as wrong. So judgements of what a search found favour the way it
    asked, and prove less for others: captions, class folders, or photos judged whatever found them
    favour none.

    Parameters
    ----------
    encoder : ClipEncoder
        The model that filled the store.
    store : ImageStore
    judgements : Judgements, optional
        By default the class folders. Of more than 1,000 questions, some are drawn.
    keep : bool
        Whether the collection remembers what was found, instead of what it remembered before.
    seed : int
        Of the halves.

    Returns
    -------
    Tuning
        Without a way, and with the reason, if the half that judges has fewer than 40 questions
        with something to find (captions of one photo count as one), or if the interval of the
        gain is not above 0 there. Only in the second case a way of before is forgotten: it was
        compared once more, and is not seen to be better.

    Raises
    ------
    ValueError
        If another model filled the store.
    NothingJudgedError
        If no judgements are given, and there are fewer than two labels.
    """
    check_flags(keep=keep)
    store.check_model(encoder)
    judgements = once_each(judgements or from_labels(store))
    parts = judgements.queries, judgements.relevant, judgements.groups
    every = zip(*parts, judgements.asked or judgements.queries, strict=True)
    rows = [row for row in every if len(row[1])]
    rows = random.Random(seed).sample(rows, min(len(rows), _MOST))
    half = list(dict.fromkeys(row[2] for row in rows))[::2]
    if len(half) < _ENOUGH:
        few = f"These are too few: the half that judges needs {_ENOUGH}, so judge {2 * _ENOUGH}"
        return Tuning(pd.DataFrame(), len(half), len(judgements.pool), note=few)
    queries, relevant, groups, asked = zip(*rows, strict=True)
    asked = asked if judgements.asked else ()
    some = Judgements(judgements.source, queries, relevant, groups, judgements.pool, asked=asked)
    found = {way: evaluate(some, *asked_by(encoder, way)) for way in WAYS}
    made = _judge(found, np.array([group in half for group in groups]), some.source)
    return _kept(made, store) if keep and store.made_here else made


def _judge(found: Mapping[str, Evaluation], judges: np.ndarray, source: str) -> Tuning:
    """Choose a way on the half that does not judge, and compare it with the plain one on this."""
    best = max(_OTHERS, key=lambda way: found[way].values[METRIC][~judges].mean())
    groups = list(compress(found[best].groups, judges))
    halves = {
        way: replace(found[way], values=found[way].values[judges], groups=groups)
        for way in (_PLAIN, best)
    }
    gain = difference(halves[best].values[METRIC], halves[_PLAIN].values[METRIC], groups)
    words = f"{best}: {gain.mean:+.3f} ({gain.range}) on {gain.n} {source}"
    made = Tuning(**vars(compare(halves, METRIC)), gain=gain, note=words)
    if round(gain.low, 3) > 0:  # as it is shown
        return replace(made, best=best)
    return replace(made, note=f"No way was better. The best of the other half is {words}")


def _kept(made: Tuning, store: ImageStore) -> Tuning:
    """Let the collection remember the way, or forget the one of before if none is better."""
    way = {"name": made.best, "words": made.note} if made.best else {}
    same = store.way.get("name") == way.get("name")
    try:
        if store.way or way:
            store.keep_way(way, store.calibration if same else {})
    except OSError as error:
        return replace(made, note=f"{made.note}. It could not be kept: {error}")
    change = f"Searches take {made.best or _PLAIN} from now on: run 07_no_match for the threshold"
    return replace(made, kept=bool(way), note=made.note if same else f"{made.note}. {change}")
