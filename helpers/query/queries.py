"""What you can ask: a text, an image, a vector, or a `Query` that mixes them.

To add a kind of term, add a class here and a line in `_KINDS`. Not about searching: that is
`retrieval`.
"""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from PIL import Image

from ..encoding import Encoder, unit_vectors
from ..settings import resolve_path

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image of {}")
"""Phrasings for texts as people type them, with or without an article."""

PLAIN = ("{}",)
"""The phrasing of a text as it is."""

TEXT, IMAGE = "text", "image"
"""The kinds of terms."""

GOOD, BAD = 0.75, 0.25
"""The weights of all good and of all bad pictures together, see `Query.with_feedback`."""

_AGAINST = 0.5  # of a term of `unlike` alone: with 1, results are worse than without it

_INVISIBLE = "Cf"  # Unicode's category of what is not seen: zero-width, direction marks, BOM


@dataclass(frozen=True, init=False)
class AnyOf:
    """One of several things, whichever suits an image best: `AnyOf("a star", "a fish")`.

    Each is a text or an image. It is a term of `like` or `unlike`, or a query of its own.
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
        A term is a text (`str`), an image (`Path` or PIL image), a vector, or a pair
        (term, weight) with a weight above 0. A term alone has weight 1 in `like`, and one half in
        `unlike`: in what one looks for, what one stays away from is only a part, and weight 1
        takes away more than that. `("red", 1)` means 1 in both. A picture to stay away from often
        shows what one looks for as well, and wants a smaller weight, such as `BAD`.

    Notes
    -----
    The query's vector is the sum of the unit vectors of `like`, minus those of `unlike`, each
    times its weight, scaled to unit length. Texts and images together are first brought to one
    scale, so that the images do not drown the words: see `chance`.
    """

    like: Terms = ()
    unlike: Terms = ()

    @classmethod
    def of(
        cls,
        words: str | None,
        image: str | os.PathLike | None = None,
        unlike: str | None = None,
        image_dir: Path | None = None,
    ) -> "Query":
        """Return the query for a search box's words, an image to be like, and words to avoid.

        The words to avoid have weight one half. The image is a path; for relative ones see
        `resolve_path`, with `image_dir` as base.
        """
        words, unlike = (words or "").strip(), (unlike or "").strip()
        like: list[Term] = [words] if words or not (image or unlike) else []
        like += [resolve_path(image, image_dir)] if image else []
        return cls(like, [unlike] if unlike else [])

    def with_feedback(
        self, good: Terms = (), bad: Terms = (), more: float = GOOD, less: float = BAD
    ) -> "Query":
        """Return this query, moved towards pictures that were good and away from bad ones.

        This is Rocchio's method for relevance feedback (Manning et al., Introduction to
        Information Retrieval, section 9.1.1), as Khaertdinov et al. 2025 use it with CLIP
        (https://arxiv.org/abs/2511.17255): the *means* of the good and of the bad count, so ten
        thumbs have no more say against the words than one. What was asked keeps its weights.

        Parameters
        ----------
        good, bad : sequences of terms
            Usually paths of images that were found. A pair (term, 2) counts twice.
        more, less : float
            The weights of all good and of all bad pictures together, if a word has 1. Those of
            the default were measured on the demo, see `tests/benchmarks`.

        Returns
        -------
        Query
            With a weight for each picture, in three digits, so that its code shows all of it.
        """
        asked = [term for term in self.like if not _is_blank(term)] if good or bad else self.like
        return Query([*asked, *_shared(good, more)], [*self.unlike, *_shared(bad, less)])


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


_Kind = _Text | _Picture | _Vector
_KINDS = {str: _Text, os.PathLike: _Picture, Image.Image: _Picture, np.ndarray: _Vector}


@dataclass(frozen=True)
class Question:
    """A query as `parse` reads it: its terms, and their weights, below 0 for `unlike`."""

    asked: Term | Query
    terms: tuple[_Kind, ...]
    weights: tuple[float, ...]

    @property
    def kinds(self) -> list[str]:
        """The kind of each term."""
        return [term.kind for term in self.terms]

    @property
    def mixes(self) -> bool:
        """Whether there are texts and images among the terms, and no vectors; see `chance`."""
        return {*self.kinds} == {TEXT, IMAGE}

    @property
    def is_one_text(self) -> bool:
        """Whether the query is one text and nothing else."""
        return self.kinds == [TEXT] and self.weights[0] > 0

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
            alone = weight in (1, -_AGAINST)
            text = write(term) if alone else weighted.format(write(term), abs(weight))
            sides[weight < 0].append(text)
        return between.join(sides[0]), between.join(sides[1])


def parse(query: Term | Query) -> Question:
    """Return a query as a `Question`, once its terms and weights are checked.

    Raises
    ------
    ValueError
        If there is no term, a text is blank, or a weight is not above 0.
    TypeError
        If a term has another type, `like` or `unlike` is not a list, or a weight is not a number.
    """
    whole = query if isinstance(query, Query) else Query([query])
    pairs = _pairs(whole.like) + [(term, -much) for term, much in _pairs(whole.unlike, _AGAINST)]
    if not pairs:
        raise ValueError("the query is empty: add a text or an image to be like, or unlike")
    terms, weights = zip(*pairs, strict=True)
    return Question(query, terms, weights)


def visible(text: str) -> str:
    """Return a text without the characters that nobody sees, such as zero-width spaces."""
    return "".join(letter for letter in text if unicodedata.category(letter) != _INVISIBLE)


def _is_blank(term: object) -> bool:
    return isinstance(term, str) and not visible(term).strip()


def _shared(terms: Sequence, weight: float) -> list[tuple[Term, float]]:
    """Return terms with shares of a weight, in three digits, as code shows them."""
    pairs = _weighted(terms)
    return [(term, float(f"{weight * own / len(pairs):.3g}")) for term, own in pairs]


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
