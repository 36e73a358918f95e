"""What thumbs up and down are worth, with a simulated person. Run: `make feedback`.

The person types something vague, "something red", and has more in mind: red birds. They judge all
ten pictures of a page by that, and the next page is searched with their thumbs, among what they
have not seen. Weights are chosen on one half of the targets, all figures are of the other half.

The demo's tiny model is no CLIP. So the same is done with two gaps between texts and images that
are simulated: nothing there is measured on a real model but the drawings. Figures that cannot be
are not printed, see `possible`.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers import ClipEncoder, draw_demo_images
from helpers.demo.drawings import COUNTS, with_article
from helpers.encoding import unit_vectors
from helpers.evaluation.figures import Interval, difference, interval
from helpers.query.chance import Chance, Scale, combine, random_texts, scales
from helpers.query.logic import Logic
from helpers.query.queries import BAD, GOOD, IMAGE, TEXT

from . import machine, possible
from .gaps import situations

PAGE, PAGES = 10, 3
WEIGHTS = [(more, more / 3) for more in (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)]  # 3 to 1 as in textbooks
FEWEST = 20  # drawings of a target that is no single class


class Target(NamedTuple):
    """What somebody types, and the places of the drawings that they have in mind."""

    words: str
    wanted: np.ndarray
    is_half: bool


class Way(NamedTuple):
    """A way to search with thumbs: the scales of texts and of images, and the weights.

    Without weights, every picture has as much say as the words. If it decides, the bad pictures are
    no part of the sum: each is something to stay away from, see `logic`.
    """

    text: Scale
    image: Scale
    weights: tuple[float, float] | None
    decides: bool = False

    def scores(
        self, words: np.ndarray, good: np.ndarray, bad: np.ndarray, images: np.ndarray
    ) -> np.ndarray:
        """Return what images rank by, shape (n,)."""
        if not self.decides or not len(bad) or not self.weights:
            return images @ self.vector(words, good, bad)
        none = np.empty((0, len(words)), np.float32)
        centre = none if len(good) else self.text.centre
        like = words if not len(good) else self.vector(words, good, none)
        way = Chance(unit_vectors(like), images, none, np.asarray(centre))
        away = [Chance(each, images, none, none) for each in bad]
        return Logic([way, *away], 1, [self.weights[1]] * len(bad)).ranking(images)

    def vector(self, words: np.ndarray, good: np.ndarray, bad: np.ndarray) -> np.ndarray:
        """Return what to search with: `Query.with_feedback`, from vectors."""
        more, less = self.weights or (len(good), len(bad))
        shares = [more / max(len(good), 1)] * len(good) + [-less / max(len(bad), 1)] * len(bad)
        terms = [self.text(words), *self.image(good), *self.image(bad)]
        return combine(terms, [1.0, *shares])


def targets(rows: pd.DataFrame) -> Iterator[Target]:
    """Yield what somebody could have in mind, and what they could type instead."""
    halves = random.Random(0)
    numbers = {1: "one thing"} | {n: f"{word} things" for n, word in COUNTS.items() if n > 1}
    vague = {
        ("colour", "object"): lambda colour, thing: [f"something {colour}", with_article(thing)],
        ("count", "object"): lambda count, thing: [numbers[count]],
        ("colour", "count"): lambda colour, count: [f"something {colour}"],
    }
    for columns, typed in vague.items():
        for values, some in rows.groupby(list(columns)):
            is_half = halves.random() < 0.5
            if "count" not in columns or len(some) >= FEWEST:
                for words in typed(*values):
                    yield Target(words, some.index.to_numpy(), is_half)


def judge(target: Target, words: np.ndarray, images: np.ndarray, way: Way | None) -> list[float]:
    """Return the precision of each page, among what was not judged before."""
    is_good = np.isin(np.arange(len(images)), target.wanted)
    seen = np.zeros(len(images), bool)
    precisions = []
    for _ in range(PAGES):
        good, bad = images[seen & is_good], images[seen & ~is_good]
        asked = way if way and seen.any() else Way(Scale(), Scale(), None)
        scores = asked.scores(words, good, bad, images)
        best = np.argsort(np.where(seen, np.inf, -scores), kind="stable")[:PAGE]
        precisions.append(float(is_good[best].mean()))
        seen[best] = True
    return precisions


def pages(asked: Sequence[Target], encoder, images: np.ndarray, way: Way | None) -> np.ndarray:
    """Return the precisions, shape (targets, PAGES)."""
    words = encoder.encode_texts([target.words for target in asked])
    pairs = zip(asked, words, strict=True)
    return np.array([judge(target, vector, images, way) for target, vector in pairs])


def choose(asked: Sequence[Target], encoder, images: np.ndarray, way: Way) -> Way:
    """Return the way with the smallest weights that are not seen to be worse than the best.

    Small, so that the words keep their say. What counts is how much is found after judging.
    """
    pairs = [(more, BAD) for more, _ in WEIGHTS] if way.decides else WEIGHTS
    ways = [way._replace(weights=pair) for pair in pairs]
    found = [pages(asked, encoder, images, each)[:, 1:].sum(axis=1) for each in ways]
    best = max(found, key=np.mean)
    groups = [target.words for target in asked]
    fits = (difference(best, each, groups).holds(0) for each in found)
    return next(each for each, fit in zip(ways, fits, strict=True) if fit)


def scales_of(encoder, images: np.ndarray) -> tuple[Scale, Scale]:
    """Return the scales of texts and of images, as a search has them."""
    found = scales(random_texts(encoder, None), images)
    return found[TEXT], found[IMAGE]


def gap(asked: Sequence[Target], encoder, images: np.ndarray) -> dict[str, object]:
    """Return how far texts and images are apart, and what an unrelated picture leaves of words.

    That is: how all images are ranked (Spearman's correlation), and how many of the ten best are
    the same, if a picture drawn at random is added to the words with the same weight.
    """
    text, image = scales_of(encoder, images)
    mean = encoder.encode_texts(random.Random(0).sample(encoder.common_words(), 100)).mean(axis=0)
    texts = sorted({target.words for target in asked})
    drawn = np.random.default_rng(0).integers(len(images), size=len(texts))
    left = []
    for words, other in zip(encoder.encode_texts(texts), images[drawn], strict=True):
        alone, plain, scaled = (
            images @ vector for vector in (words, words + other, text(words) + image(other))
        )
        left.append([*_left(alone, plain), *_left(alone, scaled)])
    ranks, best, scaled_ranks, scaled_best = (interval(each) for each in zip(*left, strict=True))
    return {
        "distance of the means": f"{np.linalg.norm(mean - images.mean(axis=0)):.2f}",
        "spread of texts": f"{text.spread:.3f}",
        "of images": f"{image.spread:.3f}",
        "plain sum: ranks": ranks,
        "of the best ten": best,
        "one scale: ranks": scaled_ranks,
        "of the ten": scaled_best,
    }


def _left(alone: np.ndarray, mixed: np.ndarray) -> tuple[float, float]:
    """Return what is left of a ranking: its rank correlation with another, and of its ten best."""
    best, others = (set(np.argsort(-scores)[:PAGE].tolist()) for scores in (alone, mixed))
    return float(stats.spearmanr(alone, mixed).statistic), len(best & others) / PAGE


def ways(encoder, images: np.ndarray) -> dict[str, Way]:
    """Return the ways to compare, still with the package's weights."""
    text, image = scales_of(encoder, images)
    plain, weights = Scale(), (GOOD, BAD)
    around = Scale(images.mean(axis=0), image.spread)
    return {
        "plain sum": Way(plain, plain, None),
        "means of good and bad": Way(plain, plain, weights),
        "means, on one scale": Way(text, image, weights),
        "good means on one scale, bad ones by logic (ours)": Way(text, image, weights, True),
        "the same, images from their mean": Way(text, around, weights),
    }


def impossible(
    name: str, asked: Sequence[Target], found: np.ndarray, none: np.ndarray
) -> Iterator[str]:
    """Complain about precisions, shape (targets, PAGES), that cannot be; `none` has no thumbs."""
    yield from possible.worked(f"{name}: targets", len(found), len(asked))
    for value in (np.min(found, initial=0), np.max(found, initial=0), *found[np.isnan(found)][:1]):
        yield from possible.within(f"{name}: a precision", float(value), 0, 1)
    if not np.allclose(found[:, :1], none[:, :1], atol=possible.ROUNDING):
        yield f"{name}: the first page differs from that without thumbs, and there are none yet"
    for target, precisions in zip(asked, found, strict=False):
        if (pictures := PAGE * precisions.sum()) > len(target.wanted) + possible.ROUNDING:
            there = f"{pictures:.0f} found, and there are {len(target.wanted)}"
            yield f"{name}: pictures for {target.words!r}: {there}"


def impossible_gap(name: str, measured: dict[str, object]) -> Iterator[str]:
    """Complain about what `gap` cannot return for unit vectors."""
    for what, value in measured.items():
        mean = value.mean if isinstance(value, Interval) else float(str(value))
        low = -1 if what.endswith("ranks") else 0
        yield from possible.within(f"{name}: {what}", mean, low, 2 if "distance" in what else 1)


def as_row(name: str, way: Way | None, found: np.ndarray, other: np.ndarray, groups) -> str:
    """Return a line of the table: each page, and the difference of the last two to another way."""
    weights = "{:g}, {:.2g}".format(*way.weights) if way and way.weights else ""
    cells = [interval(column, groups) for column in found.T]
    versus = difference(found[:, 1:].mean(axis=1), other[:, 1:].mean(axis=1), groups)
    return f"| {name} | {weights} | {' | '.join(map(_cell, cells))} | {_cell(versus)} |"


def _cell(value: object) -> str:
    if not isinstance(value, Interval):
        return str(value)
    return f"{value.mean:.2f} ({value.low:.2f} to {value.high:.2f})"


def report(encoder: ClipEncoder, rows: pd.DataFrame, images: np.ndarray) -> Iterator[str]:
    """Yield the lines of the tables; refuse what cannot be."""
    asked = list(targets(rows))
    half, others = ([t for t in asked if t.is_half == which] for which in (True, False))
    groups = [target.words for target in others]
    yield f"{len(half)} queries to choose the weights, {len(others)} to measure"
    gaps = {n: gap(others, *each) for n, each in situations(encoder, images).items()}
    for name, measured in gaps.items():
        possible.refuse(impossible_gap(name, measured))
    names = list(next(iter(gaps.values())))
    yield f"\n| texts and images | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}"
    for name, measured in gaps.items():
        yield f"| {name} | {' | '.join(map(_cell, measured.values()))} |"
    chosen: dict[str, tuple[float, float] | None] = {}
    for name, (texts, vectors) in situations(encoder, images).items():
        yield f"\n| {name} | weights | before | after one round | after two | beyond plain means |"
        yield f"| --- | --- |{' ---: |' * (PAGES + 1)}"
        compared = ways(texts, vectors)
        if not chosen:  # for the simulated gaps the weights stay: nobody chooses them there
            chosen = {
                key: choose(half, texts, vectors, way).weights if way.weights else None
                for key, way in compared.items()
            }
        compared = {key: way._replace(weights=chosen[key]) for key, way in compared.items()}
        found = {key: pages(others, texts, vectors, way) for key, way in compared.items()}
        base = found["means of good and bad"]
        none = pages(others, texts, vectors, None)
        for key, precisions in {"no feedback": none, **found}.items():
            possible.refuse(impossible(f"{name}, {key}", others, precisions, none))
        yield as_row("no feedback", None, none, base, groups)
        for key, way in compared.items():
            yield as_row(key, way, found[key], base, groups)
        best = choose(half, texts, vectors, compared["means of good and bad"])
        if best.weights != chosen["means of good and bad"]:
            again = pages(others, texts, vectors, best)
            possible.refuse(impossible(f"{name}, other weights", others, again, none))
            yield as_row("means, weights chosen for this gap", best, again, base, groups)


def main() -> None:
    """Draw the demo's pictures, encode them, and print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    encoder, where = ClipEncoder("tiny"), machine.heading()
    with tempfile.TemporaryDirectory() as folder:
        rows = draw_demo_images(folder)
        images = encoder.encode_images([Path(folder) / name for name in rows["filepath"]])
    lines = [*report(encoder, rows, images)]  # all, as any of them may be refused
    print(where, *lines, sep="\n")


if __name__ == "__main__":
    main()
