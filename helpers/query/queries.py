"""What one can ask: a text, an image, a vector, or a `Query` that mixes them.

Not about finding anything: that is `retrieval`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from PIL import Image

from ..models.encoder import ClipEncoder
from ..vectors import unit_vectors

__all__ = [
    "NOTHING",
    "TEMPLATES",
    "Query",
    "Term",
    "as_code",
    "combine",
    "describe",
    "embed",
    "weighted",
]

TEMPLATES = ("{}", "a photo of {}", "a picture of {}", "an image of {}")
"""Phrasings for texts as people type them, with or without an article."""

NOTHING = 1e-3
"""A sum of unit vectors, by shares, that is shorter than this points nowhere."""

Term = str | os.PathLike | Image.Image | np.ndarray


@dataclass(frozen=True)
class Query:
    """Several things to look for, and things to stay away from.

    Parameters
    ----------
    like, unlike : sequences of terms
        A term is a text (`str`), an image (`Path` or PIL image), a vector, or a pair
        (term, weight) with a weight above 0; a term alone has weight 1.

    Notes
    -----
    The query's vector is the sum of the unit vectors of `like`, minus those of `unlike`, each
    times its weight, made unit length: Rocchio's method for relevance feedback (Manning et al.,
    Introduction to Information Retrieval, section 9.1.1), without the original query's own term.
    """

    like: Sequence[Term | tuple[Term, float]] = ()
    unlike: Sequence[Term | tuple[Term, float]] = ()


def weighted(query: Term | Query) -> list[tuple[Term, float]]:
    """List a query's terms with their weights; those of `unlike` are negative.

    Raises
    ------
    ValueError
        If there is no term, or a weight is not above 0.
    TypeError
        If `like` or `unlike` is no list, or a weight is no number.
    """
    if not isinstance(query, Query):
        return [(query, 1.0)]
    terms = [*_pairs(query.like)]
    terms += [(term, -weight) for term, weight in _pairs(query.unlike)]
    if not terms:
        raise ValueError("the query is empty: give it a text or an image to be like, or unlike")
    return terms


def embed(
    query: Term | Query, encoder: ClipEncoder, templates: Sequence[str] | None = None
) -> np.ndarray:
    """Turn a query into its unit vector.

    Parameters
    ----------
    query : Term or Query
    encoder : ClipEncoder
    templates : sequence of str, optional
        Phrasings for the texts, see `ClipEncoder.encode_texts`.

    Returns
    -------
    ndarray of float32, shape (dim,)

    Raises
    ------
    ValueError
        If a text is blank, a vector has another length, or the terms cancel each other out.
    TypeError
        If a term is of another kind.
    OSError
        If an image cannot be read.
    """
    terms = weighted(query)
    vectors = [_embed_term(term, encoder, templates) for term, _ in terms]
    if len(terms) == 1 and terms[0][1] > 0:
        return vectors[0]
    total = combine(vectors, [weight for _, weight in terms])
    if np.linalg.norm(total) < NOTHING:
        raise ValueError("the query cancels itself out: its terms for and against are the same")
    return unit_vectors(total)


def combine(vectors: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Add unit vectors, or arrays of them row by row, by their share of all weights."""
    shares = np.asarray(weights, np.float32) / np.abs(weights).sum()
    return sum(share * vector for share, vector in zip(shares, vectors, strict=True))


def describe(query: Term | Query) -> str:
    """Name a query in a few words, for a title."""
    if isinstance(query, Query):
        parts = [_describe_all("like", query.like), _describe_all("unlike", query.unlike)]
        return ", ".join(part for part in parts if part).removeprefix("like ")
    if isinstance(query, str):
        return query
    return Path(query).name if isinstance(query, os.PathLike) else _stand_in(query)


def as_code(query: Term | Query, image_dir: Path | None = None) -> str:
    """Write a query as Python; a PIL image or a vector becomes a variable `image` or `vector`."""
    if isinstance(query, Query):
        sides = {"like": query.like, "unlike": query.unlike}
        lists = (
            f"{name}=[{', '.join(as_code(term, image_dir) for term in terms)}]"
            for name, terms in sides.items()
            if terms
        )
        return f"Query({', '.join(lists)})"
    if isinstance(query, tuple):
        return f"({as_code(query[0], image_dir)}, {query[1]:g})"
    if isinstance(query, str):
        return repr(query)
    if not isinstance(query, os.PathLike):
        return _stand_in(query)
    path = Path(query)
    if image_dir and path.is_relative_to(image_dir):
        return f"store.image_dir / {path.relative_to(image_dir).as_posix()!r}"
    return f"Path({os.fspath(path)!r})"


def _pairs(terms: Sequence) -> list[tuple[Term, float]]:
    if isinstance(terms, str | os.PathLike | Image.Image | np.ndarray):
        raise TypeError(f"like and unlike are lists: [{terms!r}]")
    pairs = [term if isinstance(term, tuple) else (term, 1.0) for term in terms]
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[1], Real):
            raise TypeError(f"a weighted term is a pair (term, weight), got {pair!r}")
        if not 0 < pair[1] < float("inf"):
            raise ValueError(f"a weight must be above 0, got {pair[1]}; to stay away: unlike")
    return pairs


def _embed_term(term: Term, encoder: ClipEncoder, templates: Sequence[str] | None) -> np.ndarray:
    if isinstance(term, str):
        if not term.strip():
            raise ValueError("the query is blank: say what to look for")
        return encoder.encode_texts([term], templates or ("{}",))[0]
    if isinstance(term, os.PathLike | Image.Image):
        return encoder.encode_images([term])[0]
    if isinstance(term, np.ndarray):
        if term.shape != (encoder.dim,):
            raise ValueError(f"a query vector has shape ({encoder.dim},), not {term.shape}")
        return unit_vectors(term)
    raise TypeError(f"cannot search for a {type(term).__name__}: give a text, Path, image, vector")


def _stand_in(term: object) -> str:
    return "image" if isinstance(term, Image.Image) else "vector"


def _describe_all(word: str, terms: Sequence) -> str:
    names = [f"{describe(t[0])} x {t[1]:g}" if isinstance(t, tuple) else describe(t) for t in terms]
    return f"{word} {' + '.join(names)}" if names else ""
