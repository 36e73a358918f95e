"""`search`: the only way to ask, for cells, the panel and tests alike.

A question is a text, an image, a vector, or a `Query` that mixes them, for and against.
"""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from .encoder import ClipEncoder
from .gallery import grid_html
from .store import MAX_LIMIT, ImageStore
from .vectors import unit_vectors

__all__ = ["Hit", "Query", "SearchResults", "build_filter", "embed", "search"]

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})

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


@dataclass(frozen=True)
class Hit:
    """One image found: `score` is the cosine between query and image, `path` where it lies."""

    filepath: str
    score: float
    label: str
    width: int
    height: int
    path: Path


@dataclass(frozen=True)
class SearchResults(Sequence):
    """The hits, best first; a notebook shows them as a grid.

    `milliseconds` is the time of the whole search, the query's encoding included.
    """

    query: str
    hits: tuple[Hit, ...]
    milliseconds: float

    def __getitem__(self, index):
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def to_frame(self) -> pd.DataFrame:
        """Give the hits as a table: filepath, score, label, width, height."""
        columns = ["filepath", "score", "label", "width", "height"]
        return pd.DataFrame([[getattr(hit, c) for c in columns] for hit in self], columns=columns)

    def to_html(self, columns: int = 5) -> str:
        """Give the grid, with score and label below each picture."""
        captions = [f"{hit.score:.3f}\n{hit.label or Path(hit.filepath).name}" for hit in self]
        return grid_html([hit.path for hit in self], captions, columns, self._summary())

    def _summary(self) -> str:
        return f"{self.query}: {len(self)} images in {self.milliseconds:.0f} ms"

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        lines = (f"{rank:4}  {hit.score:.3f}  {hit.filepath}" for rank, hit in enumerate(self, 1))
        return "\n".join([self._summary(), *lines])


def search(
    query: Term | Query,
    encoder: ClipEncoder,
    store: ImageStore,
    *,
    limit: int = 10,
    offset: int = 0,
    where: Mapping[str, object] | None = None,
    filter: str = "",
    templates: Sequence[str] | None = None,
) -> SearchResults:
    """Find the images that match a query best.

    Parameters
    ----------
    query : str, Path, PIL image, vector of shape (dim,), or Query
        A `str` is always a text; an image's path must be a `Path`.
    encoder : ClipEncoder
        The model that filled the store.
    store : ImageStore
    limit : int
        How many images.
    offset : int
        Skip so many first: page 3 of 10 is `offset=20`.
    where : dict, optional
        Conditions on the images, see `build_filter`.
    filter : str
        A Milvus expression (https://milvus.io/docs/boolean.md); it must hold as well as `where`.
    templates : sequence of str, optional
        Phrasings for the texts, such as "a photo of a {}"; see `ClipEncoder.encode_texts`.

    Returns
    -------
    SearchResults
        Empty where the collection is empty or not yet made.

    Raises
    ------
    ValueError
        If the query is blank or cancels itself out, the limit or filter makes no sense, or
        another model filled the store.
    TypeError
        If the query is of another kind.
    OSError
        If a query image cannot be read, or Milvus fails.
    """
    started = time.perf_counter()
    if limit < 1 or offset < 0 or limit + offset > MAX_LIMIT:
        raise ValueError(
            f"limit {limit} and offset {offset}: Milvus gives 1 to {MAX_LIMIT:,} images in all"
        )
    store.check_model(encoder)
    vector = embed(query, encoder, templates)
    conditions = " and ".join(f"({part})" for part in (build_filter(where), filter) if part)
    rows = store.search(vector, limit, offset, conditions)
    folder = store.image_dir or Path()
    hits = tuple(_hit(row, folder) for row in rows)
    return SearchResults(_describe(query), hits, 1000 * (time.perf_counter() - started))


def embed(
    query: Term | Query, encoder: ClipEncoder, templates: Sequence[str] | None = None
) -> np.ndarray:
    """Turn a query into its unit vector: float32, shape (dim,). Errors as in `search`."""
    if not isinstance(query, Query):
        return _embed_term(query, encoder, templates)
    terms = [*_signed(query.like, 1.0), *_signed(query.unlike, -1.0)]
    if not terms:
        raise ValueError("the query is empty: give it a text or an image to be like, or unlike")
    total = sum(weight * _embed_term(term, encoder, templates) for term, weight in terms)
    if np.linalg.norm(total) < 1e-3:
        raise ValueError("the query cancels itself out: its terms for and against are the same")
    return unit_vectors(total)


def build_filter(where: Mapping[str, object] | None) -> str:
    """Write conditions as a Milvus expression, with every value quoted.

    Parameters
    ----------
    where : dict
        Field to value (equal), list (one of these), or tuple (lowest, highest), where None
        leaves a side open: `{"label": ["goldfish", "tench"], "width": (640, None)}`.

    Raises
    ------
    ValueError
        If a field's name is none, a list is empty, or a value is neither text nor number.
    """
    return " and ".join(_condition(name, value) for name, value in (where or {}).items())


def _condition(name: str, value: object) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"{name!r} is no field's name: letters, digits and _")
    if isinstance(value, list):
        if not value:
            raise ValueError(f"the list of values for {name!r} is empty")
        return f"{name} in [{', '.join(map(_literal, value))}]"
    if isinstance(value, tuple):
        if len(value) != 2 or value == (None, None):
            raise ValueError(f"a range for {name!r} is (lowest, highest), got {value!r}")
        sides = zip((">=", "<="), value, strict=True)
        return " and ".join(f"{name} {op} {_literal(v)}" for op, v in sides if v is not None)
    return f"{name} == {_literal(value)}"


def _literal(value: object) -> str:
    """Quote a text with the few escapes that both Milvus Lite and a server understand."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is neither text nor number")
    return repr(value).lower()  # true, not True


def _embed_term(
    term: Term, encoder: ClipEncoder, templates: Sequence[str] | None = None
) -> np.ndarray:
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


def _signed(terms: Sequence, sign: float) -> Iterator[tuple[Term, float]]:
    if isinstance(terms, str | os.PathLike | Image.Image):
        raise TypeError(f"like and unlike are lists: [{terms!r}]")
    for term in terms:
        term, weight = term if isinstance(term, tuple) else (term, 1.0)
        if not 0 < weight < float("inf"):
            raise ValueError(f"a weight must be above 0, got {weight}; to stay away: unlike")
        yield term, sign * weight


def _hit(row: dict, folder: Path) -> Hit:
    fields = {name: row[name] for name in ("filepath", "label", "width", "height")}
    return Hit(score=float(row["score"]), path=folder / row["filepath"], **fields)


def _describe(query: Term | Query) -> str:
    if isinstance(query, Query):
        parts = [_describe_all("like", query.like), _describe_all("unlike", query.unlike)]
        return ", ".join(part for part in parts if part)
    if isinstance(query, str):
        return query
    return Path(query).name if isinstance(query, os.PathLike) else type(query).__name__


def _describe_all(word: str, terms: Sequence) -> str:
    names = [
        f"{_describe(t[0])} x {t[1]:g}" if isinstance(t, tuple) else _describe(t) for t in terms
    ]
    return f"{word} {' + '.join(names)}" if names else ""
