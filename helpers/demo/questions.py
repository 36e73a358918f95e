"""Hard questions about the demo's drawings, with right answers: "a star that is not red".

All but the vague ones are made from what the drawings are known to show, so what is right is
computed and nobody judges it. `_VAGUE` was grouped by hand, and is open to debate. This is plain
data; what becomes a query of it is in `evaluation.judgements`.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from .drawings import COUNTS, OBJECTS, plural, with_article

Texts = tuple[str | tuple[str, ...], ...]
"""Terms of a query; those in a tuple of their own mean any of them."""

CHOOSING, HELD_OUT = (0, 1, 2), (10, 11, 12)
"""Seeds of drawings: those on which a weight may be chosen, and those on which none ever is."""

ABSENT = ("absent", "absent together")
"""The kinds for which no drawing is right."""


class HardQuestion(NamedTuple):
    """A question of a kind, in words and as terms of a query, and the rows that are right."""

    kind: str
    words: str
    like: Texts
    unlike: Texts
    wanted: tuple[int, ...]


class _Candidate(NamedTuple):
    """What could be asked: a drawing is right if it has all of `shown`, and nothing of `hidden`."""

    words: str
    like: Texts
    shown: Mapping[str, Sequence]
    unlike: Texts = ()
    hidden: Sequence[tuple[str, object]] = ()


_TERMS: dict[str, Callable] = {
    "object": with_article,
    "colour": str,
    "count": lambda count: f"{COUNTS[count]} {'thing' if count == 1 else 'things'}",
    "background": lambda tint: with_article(f"{tint} background"),
}
"""The columns, and how a value of each is said as a term of a query."""

_VAGUE: dict[str, tuple[str, ...]] = {
    "something to eat": ("fish", "apple", "mushroom"),
    "fruit": ("apple",),
    "an animal": ("fish", "butterfly", "cat", "bird"),
    "a pet": ("fish", "cat", "bird"),
    "an insect": ("butterfly",),
    "something alive": ("fish", "tree", "flower", "mushroom", "butterfly", "cat", "bird"),
    "a plant": ("tree", "flower"),
    "something that grows": ("tree", "flower", "apple", "mushroom"),
    "something in the sky": ("star", "moon", "balloon", "butterfly", "bird", "kite"),
    "something that flies": ("balloon", "butterfly", "bird", "kite"),
    "something with wings": ("butterfly", "bird"),
    "the night sky": ("star", "moon"),
    "a vehicle": ("car", "boat"),
    "something to travel in": ("car", "boat"),
    "something in the water": ("fish", "boat"),
    "a toy": ("balloon", "kite"),
    "something on a string": ("balloon", "kite"),
    "a building": ("house",),
    "somewhere to live": ("house",),
    "something for a rainy day": ("umbrella",),
    "something to drink from": ("cup",),
    "something to open a door": ("key",),
    "jewellery": ("crown",),
    "something for a king": ("crown",),
    "love": ("heart",),
    "something from a forest": ("tree", "mushroom", "bird"),
    "something from a garden": ("tree", "flower", "butterfly", "bird"),
    "something people made": (
        *("house", "car", "boat", "umbrella", "cup", "balloon", "key", "kite", "crown"),
    ),
    "a shape": ("star", "heart"),
    "nature": ("fish", "tree", "flower", "apple", "mushroom", "butterfly", "cat", "bird"),
}
"""What is right here is open to debate: is a fish something to eat, is a mushroom a plant?"""

_UNKNOWN = (
    *("zebra", "elephant", "horse", "dog", "snake", "spider", "frog", "bicycle", "train", "robot"),
    *("guitar", "piano", "drum", "bridge", "tower", "lamp", "chair", "table", "clock", "book"),
    *("shoe", "hat", "ladder", "spoon", "bottle", "pizza", "banana", "carrot", "candle", "rocket"),
)
"""What no drawing shows."""


def hard_questions(rows: pd.DataFrame, each: int = 30, seed: int = 0) -> list[HardQuestion]:
    """Return questions of every kind about drawings.

    Parameters
    ----------
    rows : DataFrame
        The drawings, as `draw_demo_images` lists them; what is none has no object.
    each : int
        How many questions of a kind; fewer where there are not as many.
    seed : int
        Which of them.

    Returns
    -------
    list of HardQuestion
        Kind by kind; none without drawings. `wanted` holds numbers of rows, from 0. For each
        question something is right and something is wrong, and of what it does not want, something
        would else be right. Only for the kinds of `ABSENT` nothing is right.
    """
    questions: list[HardQuestion] = []
    for kind, candidates in _KINDS.items() if rows["object"].notna().any() else ():
        drawn = list(candidates(rows))
        random.Random(f"{kind} {seed}").shuffle(drawn)
        answered = ((one, _right(one, rows)) for one in drawn)
        fit = ((one, right) for one, right in answered if (kind in ABSENT) != bool(right))
        questions += [
            HardQuestion(kind, one.words, one.like, one.unlike, right)
            for one, right in islice(fit, each)
        ]
    return questions


def _right(one: _Candidate, rows: pd.DataFrame) -> tuple[int, ...]:
    """Return the rows that are right; none if all are, or if a part of `hidden` hides nothing."""
    shown = np.logical_and.reduce([rows[name].isin(values) for name, values in one.shown.items()])
    parts = [shown & (rows[name] == value).to_numpy() for name, value in one.hidden]
    right = shown & ~np.logical_or.reduce([np.zeros_like(shown), *parts])
    tells = not right.all() and all(part.any() for part in parts)
    return tuple(np.flatnonzero(right).tolist()) if tells else ()


def _described(values: Mapping) -> str:
    """Return a description, such as "two red things on a blue background", of what is known."""
    colour, count, thing = (values.get(name) for name in ("colour", "count", "object"))
    if count or thing:
        noun = thing or "thing"
        noun = noun if count in (None, 1) else plural(noun)
        noun = f"{colour} {noun}" if colour else noun
        words = f"{COUNTS[count]} {noun}" if count else with_article(noun)
    else:
        words = f"something {colour}" if colour else "something"
    tint = values.get("background")
    return f"{words} on {_TERMS['background'](tint)}" if tint else words


def _known(rows: pd.DataFrame, *columns: str) -> list[dict]:
    """Return what the drawings show in some columns, each combination once."""
    return rows[[*columns]].dropna().drop_duplicates().to_dict("records")


def _values(column: str, rows: pd.DataFrame) -> list:
    return rows[column].dropna().unique().tolist()


def _alone(column: str, rows: pd.DataFrame) -> Iterator[_Candidate]:
    for values in _known(rows, column):
        words = _described(values)
        yield _Candidate(words, (words,), {column: [values[column]]})


def _and(number: int, rows: pd.DataFrame) -> Iterator[_Candidate]:
    for columns in combinations(_TERMS, number):
        for values in _known(rows, *columns):
            like = tuple(_TERMS[name](value) for name, value in values.items())
            shown = {name: [value] for name, value in values.items()}
            yield _Candidate(_described(values), like, shown)


def _not(wanted: Sequence[str], hidden: Sequence[str], rows: pd.DataFrame) -> Iterator[_Candidate]:
    """Yield questions for some columns, without what other columns say."""
    for values in _known(rows, *wanted, *hidden):
        words = _described({name: values[name] for name in wanted})
        shown = {name: [values[name]] for name in wanted}
        against = [(name, values[name]) for name in hidden]
        unlike = tuple(_TERMS[name](value) for name, value in against)
        yield _Candidate(f"{words} {_denied(against)}", (words,), shown, unlike, against)


def _denied(against: Sequence[tuple[str, object]]) -> str:
    said = [("on " if name == "background" else "") + _TERMS[name](v) for name, v in against]
    return f"that is neither {' nor '.join(said)}" if len(said) > 1 else f"that is not {said[0]}"


def _or(column: str, rows: pd.DataFrame) -> Iterator[_Candidate]:
    for pair in combinations(_values(column, rows), 2):
        words = tuple(_described({column: value}) for value in pair)
        yield _Candidate(" or ".join(words), (words,), {column: pair})


def _or_not(rows: pd.DataFrame) -> Iterator[_Candidate]:
    for either, colour in product(_or("object", rows), _values("colour", rows)):
        words = f"{either.words}, but not {colour}"
        yield _Candidate(words, either.like, either.shown, (colour,), [("colour", colour)])


def _neither(rows: pd.DataFrame) -> Iterator[_Candidate]:
    """Yield questions for an object in none of two colours."""
    for thing, pair in product(
        rows["object"].dropna().unique(), combinations(_values("colour", rows), 2)
    ):
        words, against = with_article(thing), [("colour", colour) for colour in pair]
        shown = {"object": [thing]}
        yield _Candidate(f"{words} {_denied(against)}", (words,), shown, (pair,), against)


def _vague(_rows: pd.DataFrame) -> Iterator[_Candidate]:
    for words, objects in _VAGUE.items():
        yield _Candidate(words, (words,), {"object": objects})


def _absent(_rows: pd.DataFrame) -> Iterator[_Candidate]:
    for thing in _UNKNOWN:
        yield _Candidate(with_article(thing), (with_article(thing),), {"object": [thing]})


def _absent_together(rows: pd.DataFrame) -> Iterator[_Candidate]:
    """Yield an object and a colour, each of which some drawing shows, but none shows both."""
    for thing, colour in product(OBJECTS, _values("colour", rows)):
        words, shown = with_article(f"{colour} {thing}"), {"object": [thing], "colour": [colour]}
        yield _Candidate(words, (with_article(thing), colour), shown)


_KINDS: dict[str, Callable[[pd.DataFrame], Iterator[_Candidate]]] = {
    "plain": lambda rows: _alone("object", rows),
    "attribute": lambda rows: _alone("colour", rows),
    "count": lambda rows: _alone("count", rows),
    "background": lambda rows: _alone("background", rows),
    "and, two": lambda rows: _and(2, rows),
    "and, three": lambda rows: _and(3, rows),
    "not a colour": lambda rows: _not(["object"], ["colour"], rows),
    "not an object": lambda rows: _not(["colour"], ["object"], rows),
    "not a background": lambda rows: _not(["object"], ["background"], rows),
    "and not": lambda rows: _not(["colour", "object"], ["background"], rows),
    "neither nor": lambda rows: _not(["object"], ["colour", "background"], rows),
    "not one of two": _neither,
    "or": lambda rows: _or("object", rows),
    "or, colours": lambda rows: _or("colour", rows),
    "or, but not": _or_not,
    "vague": _vague,
    "absent": _absent,
    "absent together": _absent_together,
}
