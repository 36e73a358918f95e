"""The bank of hard questions: how good the search is at each kind. Run: `make evaluation`.

Each question is asked as it is typed, as a plain sum of the vectors of its terms (as searches did
before there was logic), and as a `Query`. They are about drawings of several seeds, on some of
which no weight was ever chosen, and of the demo's tiny model as it is and with simulated gaps
between texts and images. Figures that cannot be are not printed, see `possible`.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageOps

from helpers import ClipEncoder, Query, calibrate, draw_demo_images
from helpers.demo.questions import ABSENT, CHOOSING, HELD_OUT
from helpers.encoding import unit_vectors
from helpers.evaluation.figures import Interval, difference, interval
from helpers.evaluation.judgements import LABELS, Judgements, Pool, from_drawings
from helpers.evaluation.measuring import Evaluation, evaluate, nearest
from helpers.evaluation.metrics import r_precision, rank
from helpers.query.chance import NEAREST, combine

from . import machine, possible
from .gaps import situations

TYPED, SUMS, ASKED, ALONE = "typed", "plain sums", "as a query", "without unlike"
WAYS = [TYPED, SUMS, ASKED]
NOTHING = "told that nothing matches"
SAME = ("plain", "attribute", "count", "background", "vague")  # one text: all ways are one
HERE, STAMP = "the demo", f"{machine.today()}, {machine.commit()}"
PARTS = {"held out": HELD_OUT, "for choosing": CHOOSING}
EACH, WORST = 30, 5  # questions of a kind
SIDE, FIRST = 96, 10  # of a sheet: the side of a picture, and how many are in a row


class Asked(NamedTuple):
    """The questions about the drawings of a seed, asked in one situation."""

    judgements: Judgements
    evaluation: Evaluation
    values: pd.DataFrame


def drawn(folder: Path, encoder: ClipEncoder, seed: int, n: int) -> Pool:
    """Draw pictures and encode them."""
    rows = draw_demo_images(folder, n, seed)
    names = rows["filepath"].tolist()
    images = encoder.encode_images([folder / name for name in names])
    return Pool(names, rows["label"].tolist(), images, folder)


def plain_sum(query: Query, encoder) -> np.ndarray:
    """Return the sum of what a query likes less half of what it does not, as vectors."""
    sides = [
        [text for term in side for text in getattr(term, "terms", [term])]
        for side in (query.like, query.unlike)
    ]
    weights = [1.0] * len(sides[0]) + [-0.5] * len(sides[1])
    return unit_vectors(combine(encoder.encode_texts(sides[0] + sides[1]), weights))


def ask(pool: Pool, encoder, seed: int, each: int = EACH) -> Asked:
    """Ask every question in every way; a row a question, with its R-precision in each."""
    asked = from_drawings(pool, each=each, seed=seed)
    typed = replace(asked, asked=())
    alone = replace(asked, asked=[replace(query, unlike=()) for query in asked.asked])
    evaluation = evaluate(asked, encoder)
    values = evaluation.values[["kind", "query", "relevant"]].assign(seed=seed)
    for way, judgements in ((TYPED, typed), (ALONE, alone)):
        values[way] = evaluate(judgements, encoder).values["R-precision"]
    values[ASKED] = evaluation.values["R-precision"]
    values[SUMS] = [
        r_precision(rank((pool.vectors @ plain_sum(query, encoder)).round(6), right))
        for query, right in zip(asked.asked, asked.relevant, strict=True)
    ]
    return Asked(asked, evaluation, values.assign(**{NOTHING: told(typed, encoder)}))


def told(typed: Judgements, encoder) -> list[float]:
    """Return for each text whether a search says that nothing matches: 1 or 0.

    NaN if there is no verdict, since margins do not tell here what is shown from what is not.
    """
    threshold = threshold_of(typed.pool, encoder)
    if threshold is None:
        return [np.nan] * len(typed)
    texts = evaluate(replace(typed, asked=[Query([text]) for text in typed.queries]), encoder)
    return [float(margin < threshold) for margin in largest_margins(texts, typed)]


def largest_margins(evaluation: Evaluation, judgements: Judgements) -> Iterator[float]:
    """Yield the largest margin of the ten images nearest to each query, as `search` does."""
    for number, ranker in enumerate(evaluation.rankers):
        best = nearest(evaluation, judgements, number, NEAREST)
        yield max(ranker.margins(judgements.pool.vectors[best]))


def threshold_of(pool: Pool, encoder) -> float | None:
    """Return where matches begin by the labels of the drawings; None if margins do not tell."""
    of_each = pd.Series(pool.labels).groupby(pool.labels).indices
    labels = Judgements(LABELS, list(of_each), list(of_each.values()), list(of_each), pool)
    store = SimpleNamespace(check_model=lambda encoder: None, calibration={}, way={})
    return calibrate(encoder, store, labels, keep=False).threshold


def figures(values: pd.DataFrame) -> dict[str, dict[str, object]]:
    """Return the cells of each kind: a question of the same words counts once for the interval."""
    cells: dict[str, dict[str, object]] = {}
    for kind, some in values.groupby("kind", sort=False):
        words = some["query"].tolist()
        made: dict[str, object] = {"questions": len(some)}
        if kind not in ABSENT:
            made |= {way: interval(some[way], words) for way in WAYS}
            made["query - typed"] = difference(some[ASKED], some[TYPED], words)
            if worse := list(beside_alone(some)):
                made["worse than without unlike"] = f"{sum(worse)} of {len(worse)}"
        cells[str(kind)] = made | {NOTHING: interval(some[NOTHING], words)}
    return cells


def beside_alone(some: pd.DataFrame) -> Iterator[bool]:
    """Yield for each question with `unlike` whether it did worse than the same without."""
    is_not = some["kind"].str.contains("not|nor")
    yield from (some[ASKED] < some[ALONE] - possible.ROUNDING)[is_not]


def table(name: str, cells: dict[str, dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a table, a row a kind."""
    columns = list(dict.fromkeys(column for made in cells.values() for column in made))
    yield f"\n| {name} | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}"
    for kind, made in cells.items():
        yield f"| {kind} | {' | '.join(cell(made.get(column, '')) for column in columns)} |"


def cell(value: object) -> str:
    """Return a figure as it is written in a table."""
    if not isinstance(value, Interval):
        return str(value)
    if not value.n:
        return "no verdict"
    low_high = "" if np.isnan(value.low) else f" ({value.low:.3f} to {value.high:.3f})"
    return f"{value.mean:.3f}{low_high}"


def ledger(gap: str, cells: dict[str, dict[str, object]]) -> Iterator[str]:
    """Yield a line for the ledger for each way to ask, below its head."""
    kinds = [kind for kind in cells if kind not in ABSENT]
    if gap == HERE:
        yield f"\n| date, commit | what changed | way | texts and images | {' | '.join(kinds)} |"
        yield f"| --- | --- | --- | --- |{' ---: |' * len(kinds)}"
    for way in WAYS:
        means = [f"{cells[kind][way].mean:.3f}" for kind in kinds]  # type: ignore[attr-defined]
        yield f"| {STAMP} | | {way} | {gap} | {' | '.join(means)} |"


def worst(values: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return a kind's worst questions that failed; of what is absent, some said to be there."""
    some = values[values["kind"] == kind]
    if kind in ABSENT:
        return some[some[NOTHING] == 0].head(WORST)
    failed = some[some[ASKED] < 1 - possible.ROUNDING]
    return failed.sort_values([ASKED, "relevant"], kind="stable").head(WORST)


def worst_lines(values: pd.DataFrame) -> Iterator[str]:
    """Yield each kind's worst questions in a line."""
    for kind in values["kind"].unique():
        shown = [
            f'"{row["query"]}" ({"a match" if kind in ABSENT else format(row[ASKED], ".2f")}, '
            f"seed {row['seed']})"
            for _, row in worst(values, kind).iterrows()
        ]
        yield f"- {kind}: {'; '.join(shown) or 'all are right'}"


def impossible(values: pd.DataFrame, claimed: int) -> Iterator[str]:
    """Complain about figures that cannot be."""
    yield from possible.worked("questions", len(values), claimed)
    for kind, some in values.groupby("kind"):
        right = some["relevant"]
        if ((right == 0) != (kind in ABSENT)).any():
            yield f"{kind}: of some questions something is right, of others nothing"
        for way in [*WAYS, ALONE, NOTHING]:
            known = some[way].dropna()
            if way in WAYS and kind not in ABSENT and len(known) < len(some):
                yield f"{kind}, {way}: {len(some) - len(known)} of {len(some)} have no figure"
            for value in {known.min(), known.max()} if len(known) else ():
                yield from possible.within(f"{kind}, {way}", float(value), 0, 1)
        if kind in SAME and not np.allclose(some[TYPED], some[ASKED], atol=possible.ROUNDING):
            yield f"{kind}: the same text finds something else as a query"


def sheet(asked: Sequence[Asked], values: pd.DataFrame, kind: str) -> Image.Image:
    """Return a picture of a kind's worst questions, in green what is right.

    That is the first five hits, and then the first that are wrong, down to where as many are found
    as there are right ones.
    """
    rows = worst(values, kind)
    made = Image.new("RGB", (FIRST * SIDE, max(1, len(rows)) * (SIDE + 20)), "white")
    brush = ImageDraw.Draw(made)
    for line, (_, row) in enumerate(rows.iterrows()):
        one = next(each for each in asked if each.values["seed"].iloc[0] == row["seed"])
        pool, top = one.judgements.pool, line * (SIDE + 20)
        asked_there = one.values[one.values["kind"] == kind]
        number = int(asked_there.index[asked_there["query"] == row["query"]][0])
        value = f"R-precision {row[ASKED]:.2f}, {row['relevant']} are right"
        value = "said to match, nothing is right" if kind in ABSENT else value
        brush.text((4, top + 4), f"{row['query']}: {value}", fill="black")
        right = set(one.judgements.relevant[number].tolist())
        found = nearest(one.evaluation, one.judgements, number, max(FIRST, len(right)))
        first = found[: FIRST // 2]
        found = (first + [place for place in found[len(first) :] if place not in right])[:FIRST]
        for column, (place, path) in enumerate(zip(found, pool.paths(found), strict=True)):
            with Image.open(path) as picture:
                small = ImageOps.fit(picture.convert("RGB"), (SIDE - 12, SIDE - 12))
            colour = "seagreen" if place in right else "crimson"
            made.paste(ImageOps.expand(small, 4, colour), (column * SIDE, top + 20))
    return made


def write_sheets(folder: Path, asked: Sequence[Asked], values: pd.DataFrame) -> None:
    """Write a sheet for each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in values["kind"].unique():
        sheet(asked, values, kind).save(folder / f"{kind.replace(', ', ' ')}.png")


def report(
    pools: dict[int, Pool], encoder: ClipEncoder, sheets: str, each: int = EACH
) -> Iterator[str]:
    """Yield the lines of all tables; refuse what cannot be."""
    every: dict[str, list[Asked]] = {}
    for seed, pool in pools.items():
        for gap, (texts, images) in situations(encoder, pool.vectors).items():
            made = ask(replace(pool, vectors=images), texts, seed, each)
            possible.refuse(impossible(made.values, len(made.judgements)))
            every.setdefault(gap, []).append(made)
            print(f"seed {seed}, {gap}", file=sys.stderr)
    tables: list[str] = []
    lines: list[str] = []
    lists: list[str] = []
    for gap, asked in every.items():
        values = pd.concat([one.values for one in asked], ignore_index=True)
        for part, seeds in PARTS.items():
            cells = figures(values[values["seed"].isin(seeds)])
            if cells:
                tables += table(f"{gap}, {part}", cells)
            if cells and part == "held out":
                lines += ledger(gap, cells)
        lists += [f"\nThe worst, {gap}:\n", *worst_lines(values)]
        if sheets:
            write_sheets(Path(sheets) / gap.replace(": ", " "), asked, values)
    yield from [*tables, *lines, *lists]


def main() -> None:
    """Draw pictures of every seed, encode them, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawings", type=int, default=1000, help="of a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*HELD_OUT, *CHOOSING])
    parser.add_argument("--sheets", default="", help="a folder for pictures of the worst")
    parser.add_argument("--folder", default="", help="where drawings are kept; else nowhere")
    options = parser.parse_args()
    encoder, where = ClipEncoder("tiny"), machine.heading()
    with tempfile.TemporaryDirectory() as folder:
        pools = {
            seed: drawn(Path(options.folder or folder) / str(seed), encoder, seed, options.drawings)
            for seed in options.seeds
        }
        lines = [*report(pools, encoder, options.sheets)]  # any of them may be refused
    print(f"{where}: hard questions about drawings of {len(pools)} seeds.")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
