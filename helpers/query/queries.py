"""What you can ask: a text, an image, a vector, or a `Query` that mixes them.

To add a kind of term, add a class here and a line in `_KINDS`. Not about searching: that is
`retrieval`.
"""

import itertools
import math
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from ..encoding import Encoder, unit_vectors
from ..settings import resolve_path

if TYPE_CHECKING:
    from .reading import Reading

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image of {}")
"""Phrasings for texts as people type them, with or without an article."""

PLAIN = ("{}",)
"""The phrasing of a text as it is."""

TEXT, IMAGE = "text", "image"
"""The kinds of terms."""

AGAINST = 0.5
"""The weight of a term of `unlike` alone, see `logic`."""

GOOD, BAD = 1.0, AGAINST
"""The weight of all good pictures together, and of each bad one; see `Query.with_feedback`."""

_MOST_WAYS = 64  # to take one of each `AnyOf`


@dataclass(frozen=True, init=False)
class AnyOf:
    """One of several things, whichever suits an image best: `AnyOf("a star", "a fish")`.

    Each is a text, an image or a vector. It is a query of its own, or a term of `like` or `unlike`.
    There, its weight is that of whichever it is. `logic` says how images are ranked then.
    """

    terms: tuple["Term", ...]

    def __init__(self, *terms: "Term") -> None:
        object.__setattr__(self, "terms", terms)


Term = str | os.PathLike | Image.Image | np.ndarray | AnyOf
Terms = Sequence[Term | tuple[Term, float]]


@dataclass(frozen=True)
class Query:
    """Several things to look for, and things to stay away from.

    Parameters
    ----------
    like, unlike : sequences of terms
        A term is a text (`str`), an image (`Path` or PIL image), a vector, an `AnyOf`, or a pair
        (term, weight) with a weight above 0. A term alone has weight 1 in `like`, and one half in
        `unlike`. There, a larger weight is surer to keep away what it names, and costs more of
        what is looked for: an image that stands out by one standard deviation as what one stays
        away from has to stand out by so many more as what one looks for.

    Notes
    -----
    The vector of `like` is the sum of the terms' unit vectors, each times its weight, scaled to
    unit length. Texts and images together are first brought to one scale, so that the images do
    not drown the words: see `chance`. `unlike` is no sum, but a comparison of scores: see `logic`.
    """

    like: Terms = ()
    unlike: Terms = ()

    @classmethod
    def of(
        cls,
        words: "Term | Query | None",
        image: str | os.PathLike | None = None,
        unlike: str | None = None,
        image_dir: Path | None = None,
    ) -> "Query":
        """Return the query for a search box's words, an image to be like, and words to avoid.

        The words may be what a `Reading` made of them. The image is a path; for relative ones see
        `resolve_path`, with `image_dir` as base.
        """
        unlike, words = (unlike or "").strip(), words.strip() if isinstance(words, str) else words
        asked = words if isinstance(words, Query) else Query([words or ""])
        kept = [each for each in asked.like if not _is_blank(each)]
        kept += [resolve_path(image, image_dir)] if image else []
        away = [*asked.unlike, *([unlike] if unlike else [])]
        return cls(kept if kept or away else [""], away)

    @classmethod
    def read(cls, words: str, today: date | None = None, literal: Sequence[str] = ()) -> "Reading":
        """Return how what a person typed is read: not, or, quotes and dates; see `reading.read`."""
        from .reading import read

        return read(words, today, literal)

    def with_feedback(
        self, good: Terms = (), bad: Terms = (), more: float = GOOD, less: float = BAD
    ) -> "Query":
        """Return this query, moved towards pictures that were good and away from bad ones.

        Towards the good ones by Rocchio's method for relevance feedback (Manning et al.,
        Introduction to Information Retrieval, section 9.1.1), as Khaertdinov et al. 2025 use it
        with CLIP (https://arxiv.org/abs/2511.17255): their *mean* counts, so ten thumbs have no
        more say against the words than one. Each bad one is a term of `unlike`, of which only the
        nearest counts. What was asked keeps its weights.

        Parameters
        ----------
        good, bad : sequences of terms
            Usually paths of images that were found. A pair (term, 2) counts twice.
        more, less : float
            The weights of all good pictures together, if a word has 1, and of each bad one. Those
            of the default were measured on the demo, see `tests/benchmarks`.

        Returns
        -------
        Query
            With a weight for each picture, in three digits, so that its code shows all of it.
        """
        asked = [term for term in self.like if not _is_blank(term)] if good or bad else self.like
        liked, away = _times(good, more / max(len(good), 1)), _times(bad, less)
        return Query([*asked, *liked], [*self.unlike, *away])


class _Text:
    """A text. Each kind of term has a title, code and a vector, and a path if it is a file.

    `kind` says which others could be in its place, and on which scale its vector is, see `chance`;
    "" if that is unknown.
    """

    kind, path = TEXT, None

    def __init__(self, text: str) -> None:
        self.title = visible(text)
        if not self.title.strip():
            raise ValueError("the query is blank: say what to look for")

    def code(self, image_dir: Path | None) -> str:
        return repr(self.title)

    def vector(self, encoder: Encoder, templates: Sequence[str]) -> np.ndarray:
        return encoder.encode_texts([self.title], templates)[0]


class _Picture:
    """An image file, or a PIL image, which becomes a variable `image` in code."""

    kind = IMAGE

    def __init__(self, image: Image.Image | os.PathLike) -> None:
        self.image = image
        self.path = None if isinstance(image, Image.Image) else Path(image)
        self.title = self.path.name if self.path else "image"

    def code(self, image_dir: Path | None) -> str:
        if not self.path:
            return self.title
        if image_dir and self.path.is_relative_to(image_dir):
            return f"store.image_dir / {self.path.relative_to(image_dir).as_posix()!r}"
        return f"Path({os.fspath(self.path)!r})"

    def vector(self, encoder: Encoder, templates: Sequence[str]) -> np.ndarray:
        return encoder.encode_images([self.image])[0]


class _Vector:
    """A vector, which becomes a variable `vector` in code; what it describes is unknown."""

    kind, path, title = "", None, "vector"

    def __init__(self, vector: np.ndarray) -> None:
        self.array = vector

    def code(self, image_dir: Path | None) -> str:
        return self.title

    def vector(self, encoder: Encoder, templates: Sequence[str]) -> np.ndarray:
        if self.array.shape != (encoder.dim,):
            raise ValueError(f"a query vector needs shape ({encoder.dim},), not {self.array.shape}")
        return unit_vectors(self.array)


class _Any:
    """Several terms, of which one is enough."""

    def __init__(self, any_of: AnyOf) -> None:
        if not any_of.terms:
            raise ValueError("AnyOf is empty: name what an image may be like")
        self.choices = [choice for term in any_of.terms for choice in _choices(_term(term))]
        self.title = " or ".join(choice.title for choice in self.choices)

    def code(self, image_dir: Path | None) -> str:
        return f"AnyOf({', '.join(choice.code(image_dir) for choice in self.choices)})"


_One = _Text | _Picture | _Vector
_Kind = _One | _Any
_KINDS: dict[type, Callable] = {str: _Text, os.PathLike: _Picture, Image.Image: _Picture}
_KINDS |= {np.ndarray: _Vector, AnyOf: _Any}


class Sum(NamedTuple):
    """Terms that an image should be like together, with their weights; see `chance`."""

    terms: tuple[_One, ...]
    weights: tuple[float, ...]

    @property
    def kinds(self) -> set[str]:
        """The kinds of the terms."""
        return {term.kind for term in self.terms}

    @property
    def mixes(self) -> bool:
        """Whether there are texts and images among the terms, and no vectors."""
        return self.kinds == {TEXT, IMAGE}


@dataclass(frozen=True)
class Question:
    """A query as `parse` reads it: its terms, and their weights, below 0 for `unlike`."""

    asked: Term | Query
    terms: tuple[_Kind, ...]
    weights: tuple[float, ...]

    @property
    def ways(self) -> list[Sum]:
        """What an image should be like: one of these; none if there is only `unlike`."""
        like = [(t, w) for t, w in zip(self.terms, self.weights, strict=True) if w > 0]
        weights = tuple(weight for _, weight in like)
        choices = [_choices(term) for term, _ in like]
        return [Sum(terms, weights) for terms in itertools.product(*choices) if terms]

    @property
    def away(self) -> list[tuple[Sum, float]]:
        """What an image should be like none of, each with its weight."""
        terms = zip(self.terms, self.weights, strict=True)
        each = ((choice, w) for term, w in terms if w < 0 for choice in _choices(term))
        return [(Sum((choice,), (1.0,)), -weight) for choice, weight in each]

    @property
    def sums(self) -> list[Sum]:
        """The ways, then what to stay away from."""
        return [*self.ways, *(each for each, _ in self.away)]

    @property
    def files(self) -> list[Path]:
        """The image files among the terms."""
        return [one.path for term in self.terms for one in _choices(term) if one.path]

    @property
    def is_sum(self) -> bool:
        """Whether its terms just add up, so that there is nothing to decide by `logic`."""
        return len(self.ways) == 1 and not self.away

    @property
    def is_one_text(self) -> bool:
        """Whether the query is one text and nothing else."""
        return self.is_sum and [term.kind for term in self.ways[0].terms] == [TEXT]

    @property
    def title(self) -> str:
        """The query in a few words; a weight is there unless it is that of a term alone."""
        like, unlike = self._sides(lambda term: term.title, "{} x {:g}", " + ")
        return ", ".join(filter(None, [like, unlike and f"unlike {unlike}"]))

    def code(self, image_dir: Path | None = None) -> str:
        """Return the query as Python code, on one line."""
        if len(self.terms) == 1 and self.weights[0] > 0:
            return self.terms[0].code(image_dir)
        like, unlike = self._sides(lambda term: term.code(image_dir), "({}, {:g})", ", ")
        sides = [like and f"like=[{like}]", unlike and f"unlike=[{unlike}]"]
        return f"Query({', '.join(filter(None, sides))})"

    def _sides(self, write: Callable[[_Kind], str], weighted: str, between: str) -> tuple[str, str]:
        """Return the terms for and the terms against, each written in a row."""
        sides: tuple[list[str], list[str]] = [], []
        for term, weight in zip(self.terms, self.weights, strict=True):
            alone = weight in (1, -AGAINST)
            text = write(term) if alone else weighted.format(write(term), abs(weight))
            sides[weight < 0].append(text)
        return between.join(sides[0]), between.join(sides[1])


def parse(query: Term | Query) -> Question:
    """Return a query as a `Question`, once its terms and weights are checked.

    Raises
    ------
    ValueError
        If there is no term, a text is blank, a weight is not above 0, or there are more than 64
        ways to take one of each `AnyOf`.
    TypeError
        If a term has another type, `like` or `unlike` is not a list, or a weight is not a number.
    """
    whole = query if isinstance(query, Query) else Query([query])
    like, unlike = _pairs(whole.like), _pairs(whole.unlike, AGAINST)
    if not like + unlike:
        raise ValueError("the query is empty: add a text or an image to be like, or unlike")
    if (ways := math.prod(len(_choices(term)) for term, _ in like)) > _MOST_WAYS:
        raise ValueError(f"there are {ways:,} ways to take one of each AnyOf: {_MOST_WAYS} at most")
    terms, weights = zip(*like, *((term, -weight) for term, weight in unlike), strict=True)
    return Question(query, terms, weights)


def visible(text: str) -> str:
    """Return a text without the characters that nobody sees, such as zero-width spaces."""
    # Cf is Unicode's category of what is not seen: zero-width, direction marks, BOM
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def _is_blank(term: object) -> bool:
    return isinstance(term, str) and not visible(term).strip()


def _choices(term: _Kind) -> list[_One]:
    return term.choices if isinstance(term, _Any) else [term]


def _times(terms: Sequence, weight: float) -> list[tuple[Term, float]]:
    """Return terms with weights so many times their own, in three digits, as code shows them."""
    return [(term, float(f"{weight * own:.3g}")) for term, own in _weighted(terms)]


def _pairs(terms: Sequence, alone: float = 1.0) -> list[tuple[_Kind, float]]:
    if isinstance(terms, Term) or not isinstance(terms, Iterable):
        raise TypeError(f"like and unlike must be lists, such as ['a dog'], not {terms!r:.60}")
    pairs = _weighted(terms, alone)
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[1], Real):
            raise TypeError(f"a weighted term must be a pair (term, weight), got {pair!r}")
        if not 0 < float(pair[1]) < float("inf"):
            raise ValueError(
                f"a weight must be finite and above 0, got {pair[1]}; to avoid a term, use unlike"
            )
    return [(_term(term), float(weight)) for term, weight in pairs]


def _weighted(terms: Sequence, alone: float = 1.0) -> list[tuple]:
    """Return terms with their weights, or that of a term alone where none is given."""
    return [term if isinstance(term, tuple) else (term, alone) for term in terms]


def _term(term: Term) -> _Kind:
    for kind, read in _KINDS.items():
        if isinstance(term, kind):
            return read(term)
    raise TypeError(f"cannot search for {term!r:.60}: use a text, Path, image, vector or Query")
