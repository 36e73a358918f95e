"""What `unlike` is worth among the demo's drawings: with the weight of a term alone, and with 1."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import ClipEncoder, ImageStore, Query, draw_demo_images, search
from helpers.demo.drawings import with_article

EACH = 30  # questions of a kind

# Of what to look for, and of what to stay away from: a column, and how it is asked.
KINDS: dict[str, tuple[str, Callable, str, Callable]] = {
    "an object in any other colour": ("object", with_article, "colour", str),
    "an object on another background": (
        "object",
        with_article,
        "background",
        "a {} background".format,
    ),
    "another object in a colour": ("colour", "something {}".format, "object", with_article),
    "an object as in a picture, in any other colour": ("object", Path, "colour", str),
    "an object unlike a picture": ("object", with_article, "colour", Path),
}


@pytest.fixture(scope="module")
def demo(demo_images, demo_store) -> tuple[pd.DataFrame, ImageStore]:
    """A table of the demo's drawings, and their collection."""
    return draw_demo_images(demo_images), demo_store


def questions(kind: str, rows: pd.DataFrame, folder: Path) -> Iterator[tuple]:
    """Yield what to look for, what to stay away from, and the drawings that are then right."""
    wanted, ask, avoided, avoid = KINDS[kind]
    pairs = rows[[wanted, avoided]].drop_duplicates().sample(frac=1, random_state=0)
    for thing, other in pairs.itertuples(index=False):
        these = rows[rows[wanted] == thing]
        right = these[avoided] != other
        if right.any():
            picture = folder / these["filepath"][~right].iloc[0]
            like, away = (
                picture if words is Path else words(value)
                for words, value in ((ask, thing), (avoid, other))
            )
            yield like, away, set(these["filepath"][right])


def mean_precision(
    ask: Callable, asked: list[tuple], tiny: ClipEncoder, store: ImageStore
) -> float:
    """Return the mean R-precision of what `ask` makes of like and unlike."""
    each = []
    for like, away, right in asked:
        found = search(ask(like, away), tiny, store, limit=len(right))
        each.append(np.mean([hit.filepath in right for hit in found]))
    return float(np.mean(each))


@pytest.mark.parametrize("kind", KINDS)
def test_a_measured_gain_unlike_is_never_worse_than_not_to_ask(demo, tiny, kind):
    rows, store = demo
    asked = list(questions(kind, rows, store.image_dir))[:EACH]
    assert len(asked) == EACH
    alone = mean_precision(lambda like, away: like, asked, tiny, store)
    unlike = mean_precision(lambda like, away: Query([like], [away]), asked, tiny, store)
    whole = mean_precision(lambda like, away: Query([like], [(away, 1)]), asked, tiny, store)
    print(f"{kind}: alone {alone:.3f}, unlike {unlike:.3f}, with weight 1 {whole:.3f}")
    assert unlike > whole
    if not isinstance(asked[0][1], Path):  # a picture to stay away from shows what one wants, too
        assert unlike >= alone
