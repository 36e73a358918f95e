"""`search`: the one way to ask, for cells, the panel and tests.

Questions are described in `queries`, margins in `margins`, and answers in `results`.
"""

import difflib
import time
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from .collection.columns import FORMAT, by_digest, named, seen, shown, sortable
from .collection.filters import build_filter, forms, names_in, plain, within
from .collection.store import MAX_LIMIT, ImageStore, stored_vectors
from .encoding import Encoder
from .parameters import check_flags
from .query.margins import AGAIN, is_coin, margins, match_threshold
from .query.mixing import SAMPLE
from .query.queries import Query, Question, Term, parse
from .query.results import Hit, SearchResults

JUDGED = 10
"""Hits at least whose margins give the verdict, so that a small limit does not change it."""

_Found = tuple[dict, Any]  # a row, and its margin or None
_ALIKE = 0.95
_SORTED = 1000  # hits at most, if those that match are sorted
_SORTED_UNJUDGED = 200  # hits, if nobody knows which of them match


def search(
    query: Term | Query,
    encoder: Encoder,
    store: ImageStore,
    *,
    limit: int = 10,
    offset: int = 0,
    where: Mapping[str, object] | None = None,
    filter: str = "",
    templates: Sequence[str] | None = None,
    unique: bool = False,
    group_by: str = "",
    sort_by: str | None = "",
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
        How many images to skip: with `limit=10`, page 3 is `offset=20`.
    where : dict, optional
        Conditions on the images; see `build_filter`.
    filter : str
        A Milvus expression (https://milvus.io/docs/boolean.md) that must hold as well as `where`.
    templates : sequence of str, optional
        Phrasings for the texts, such as "a photo of {}"; see `ClipEncoder.encode_texts`.
    unique : bool
        Merge near-duplicates (images whose cosine is at least 0.95) into the best of them.
    group_by : str
        A field, such as "label"; each of its values appears once, with its best image.
    sort_by : {"", "taken"}
        "" puts the best first. "taken" puts the newest first, and those without a date last: of
        all that match among the best thousand, if matches can be told (see `match_threshold`),
        else of the best 200.

    Returns
    -------
    SearchResults
        Empty if the collection is empty or has not been made yet.

    Raises
    ------
    ValueError
        If the query is blank or cancels itself out, the limit or filter makes no sense, the
        filter names a field that does not exist, or another model filled the store.
    TypeError
        If the query, `where`, the limit or the offset has the wrong type.
    OSError
        If a query image cannot be read, or Milvus fails.
    """
    started = time.perf_counter()
    question = parse(query)
    check_flags(unique=unique)
    _check_page(limit, offset)
    sort_by = sort_by or ""
    if sort_by not in ("", *sortable()):
        known = " or ".join(map(repr, sortable()))
        raise ValueError(f"sort_by is {known}, or '' for the best first, not {sort_by!r}")
    expression = " and ".join(f"({part})" for part in (build_filter(where), filter) if part)
    given: dict[str, Any] = {"limit": limit, "offset": offset, "filter": filter, "unique": unique}
    given |= {"where": where or None, "templates": templates}
    given |= {"group_by": group_by, "sort_by": sort_by}
    remembered = store.check_model(encoder)
    threshold = match_threshold(question, encoder, store, templates)
    question = _ready(question, encoder, store, templates)
    vector = question.vector(encoder, templates)
    encoded = time.perf_counter()

    rows = []
    if remembered:
        first = 0 if sort_by else offset
        number = max(limit + offset - first, JUDGED)
        if sort_by:
            number = _SORTED_UNJUDGED if threshold is None else _SORTED
        rows = store.search(
            vector,
            min(number, MAX_LIMIT - first),
            first,
            expression,
            [*shown(), "vector", "digest"],
            group_by,
            _without_alike if unique else None,
            within(where),
        )
    note = (
        AGAIN if threshold is None and question.is_one_text and is_coin(store.calibration) else ""
    )
    note = note if rows else _why_nothing(where or {}, expression, offset, vector, store)
    searched = time.perf_counter()
    vectors = np.array([row["vector"] for row in rows], np.float32).reshape(-1, encoder.dim)
    above = margins(question, vector, vectors, encoder, store, templates)
    found = list(zip(rows, above, strict=True))
    window = slice(offset, offset + limit)
    page = _newest(found, sort_by, threshold)[window] if sort_by else found[:limit]
    folder = Path(remembered["image_dir"]) if remembered else None
    copies = by_digest(rows)
    times = {"encoding": encoded - started, "searching": searched - encoded}
    times |= {"total": time.perf_counter() - started}
    return SearchResults(
        question=question,
        hits=tuple(
            _hit(row, margin, folder, copies.get(row["digest"], [])) for row, margin in page
        ),
        options={n: value for n, value in plain(given).items() if value != _DEFAULTS[n]},
        image_dir=folder,
        margin=max((margin for margin in above if margin is not None), default=None),
        threshold=threshold,
        note=note,
        milliseconds={name: 1000 * seconds for name, seconds in times.items()},
    )


_DEFAULTS: dict[str, Any] = search.__kwdefaults__ or {}


def _ready(
    question: Question, encoder: Encoder, store: ImageStore, templates: Sequence[str] | None
) -> Question:
    """Return a question that mixes texts and images with its scales and with stored vectors."""
    if not question.mixes:
        return question
    known = question.knowing(stored_vectors(question.files, store))
    return known.scaled(encoder, templates, store.sample(SAMPLE))


def _check_page(limit: int, offset: int) -> None:
    for number in (limit, offset):
        if not isinstance(number, Integral):
            raise TypeError(f"limit and offset must be whole numbers, got {number!r}")
    if limit < 1 or offset < 0 or limit + offset > MAX_LIMIT:
        raise ValueError(
            f"limit {limit} and offset {offset}: choose a limit of at least 1 and an offset of at "
            f"least 0; their sum may be at most {MAX_LIMIT:,}, Milvus's own limit"
        )


def _newest(found: list[_Found], field: str, threshold: float | None) -> list[_Found]:
    """Return those that match, newest first; without a verdict, the best ones."""
    judged = threshold is not None and all(margin is not None for _, margin in found)
    chosen = found[:_SORTED_UNJUDGED]
    if judged:
        chosen = [pair for pair in found if pair[1] >= threshold]
    return sorted(chosen, key=lambda pair: pair[0][field], reverse=True)


def _why_nothing(
    where: Mapping[str, object],
    expression: str,
    offset: int,
    vector: np.ndarray,
    store: ImageStore,
) -> str:
    """Return why there is nothing; refuse fields that no image has."""
    if not (count := store.count()):
        return "The collection is empty: run 02_ingestion first."
    fields = store.fields()
    if unknown := names_in(expression) - fields:
        known = ", ".join(sorted(fields))
        raise ValueError(f"there is no field {min(unknown)!r} here; there are {known}")
    for name in where:
        column = named("latitude" if name == "place" else name)
        if column and column.tells:
            told = build_filter({column.name: (None, None)})
            if not store.search(vector, 1, filter=told):
                read = build_filter({"format": (FORMAT, None)})
                again = ": ingest once more to read it" if store.count(read) < count else ""
                return f"No image here tells {column.tells}{again}."
    labels, asked = store.labels(), where.get("label")
    wanted = [
        each for each in (asked if isinstance(asked, list) else [asked]) if isinstance(each, str)
    ]
    missing = [label for label in wanted if not {*forms(label)} & {*labels}]
    if not missing:
        return "" if offset else "No image passes these filters."
    near = difflib.get_close_matches(missing[0], labels, cutoff=0.5) or labels[:5]
    return f"No image has the label {missing[0]!r}. Some labels: {', '.join(near) or 'none'}."


def _without_alike(rows: list[dict]) -> list[dict]:
    """Keep the first of each set of images that are alike; it lists the others."""
    kept: list[dict] = []
    vectors = np.array([row["vector"] for row in rows], np.float32)
    places: list[int] = []
    for place, row in enumerate(rows):
        cosines = vectors[places] @ vectors[place]
        if cosines.max(initial=-1) >= _ALIKE:
            kept[int(cosines.argmax())]["alike"].append(row["filepath"])
        else:
            places.append(place)
            kept.append(row | {"alike": []})
    return kept


def _hit(row: dict, margin: float | None, folder: Path | None, copies: list[dict]) -> Hit:
    others = [copy["filepath"] for copy in copies if copy["id"] != row["id"]]
    return Hit(
        facts=seen(row),
        score=float(row["score"]),
        margin=margin,
        path=Path(folder or "", row["filepath"]),
        alike=tuple(row.get("alike", others)),
    )
