"""`search`: the one way to ask, for cells, the panel and tests.

Questions are described in `queries`, what they are compared with in `chance`, and answers in
`results`.
"""

import contextlib
import difflib
import time
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .collection import columns
from .collection.filters import Where, build_filter, names_in, plain
from .collection.store import MAX_LIMIT, ImageStore
from .encoding import Encoder
from .images.files import look_at
from .query.chance import NEAREST, SAMPLE, match_threshold, way_in_use
from .query.logic import Logic
from .query.queries import TEXT, Query, Question, Term, parse, visible
from .query.results import Hit, SearchResults
from .settings import check_flags, check_whole

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
    query : str, Path, PIL image, vector of shape (dim,), AnyOf or Query
        A `str` is always a text, word by word: see `Query.read`. An image's path must be a `Path`.
    encoder : ClipEncoder
        The model that filled the store.
    store : ImageStore
    limit : int
        How many images.
    offset : int
        How many images to skip: with `limit=10`, page 3 is `offset=20`.
    where : dict, optional
        Conditions on the images; see `Where`. A label may be written in other capitals, or with
        other blanks: see `known_labels`.
    filter : str
        A Milvus expression (https://milvus.io/docs/boolean.md) that must hold as well as `where`.
    templates : sequence of str, optional
        Phrasings for the texts, such as "a photo of {}"; see `ClipEncoder.encode_texts`. By
        default the way that `tune` found to be better here; else texts as they are.
    unique : bool
        Merge near-duplicates (images whose cosine is at least 0.95) into the best of them.
    group_by : str
        A field, such as "label"; each of its values appears once, with its best image.
    sort_by : {"", "taken"}
        "" puts the best first. "taken" puts the newest first, and those without a date last: of
        all that match among the best thousand, if matches can be told (see `match_threshold`),
        else of the best 200. The `note` says so where these are fewer than asked for.

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
    given = dict(locals())
    started = 1000 * time.perf_counter()  # in milliseconds
    question, conditions = parse(query), Where(where)
    check_flags(unique=unique)
    limit, offset = 10 if limit is None else limit, offset or 0
    check_whole(1, limit=limit)
    check_whole(0, offset=offset)
    if limit + offset > MAX_LIMIT:
        raise ValueError(f"at most {MAX_LIMIT:,} images with those skipped, not {limit + offset}")
    if sort_by and sort_by not in columns.sortable():
        known = " or ".join(map(repr, columns.sortable()))
        raise ValueError(f"sort_by is {known}, or '' for the best first, not {sort_by!r}")
    expression = " and ".join(f"({part})" for part in (conditions.expression, filter) if part)
    remembered = store.check_model(encoder)
    encoder, templates, way = way_in_use(encoder, store, templates)
    threshold = match_threshold(question, encoder, store, templates)
    alone = question.is_sum and len(question.terms) == 1
    stored = {} if alone else _stored_vectors(question, store)
    logic = Logic.of(question, encoder, templates, store.sample(SAMPLE), stored)
    encoded = 1000 * time.perf_counter()

    first, number = offset, min(max(limit, NEAREST), MAX_LIMIT - offset)
    if sort_by:
        first, number = 0, 1 + (_SORTED_UNJUDGED if threshold is None else _SORTED)
    fields, distinct = [*columns.shown(), "vector", "digest"], _without_alike if unique else None
    decide = None if logic.is_sum else partial(_decided, logic)
    kept: dict[str, Any] = {"distinct": distinct, "within": conditions.within, "decide": decide}
    rows = store.search(logic.vectors(), number, first, expression, fields, group_by, **kept)
    if (labels := _labels_meant(conditions, rows, store)) != conditions.values_of("label"):
        return search(**given | {"where": dict(where or {}, label=labels)})
    note = rows[-1].get("note", "") if rows else _why_nothing(conditions, expression, offset, store)
    searched = 1000 * time.perf_counter()
    above = logic.margins(_vectors(rows, encoder.dim))
    best = max((margin for margin in above if margin is not None), default=None)
    folder = Path(remembered["image_dir"]) if remembered else None
    hits = _hits(rows, above, folder)
    hits = _newest(hits, sort_by, threshold) if sort_by else hits
    if 0 < len(hits) < min(len(rows), offset + limit):
        cut = f"Newest first shows the best {len(hits):,} images alone, best first shows more"
        note = f"{note}. {cut}" if note else cut
    hits = hits[offset - first :][:limit]
    options = {n: plain(given[n]) for n, d in _DEFAULTS.items() if given[n] and given[n] != d}
    times = {"encoding": encoded - started, "searching": searched - encoded}
    times["total"] = 1000 * time.perf_counter() - started
    way = way if rows and any(TEXT in each.kinds for each in question.sums) else ""
    return SearchResults(question, tuple(hits), options, folder, best, threshold, note, times, way)


_DEFAULTS: dict[str, Any] = search.__kwdefaults__ or {}


def _stored_vectors(question: Question, store: ImageStore) -> dict[Path, np.ndarray]:
    """Return the vectors of a question's files in the collection, without those that changed since.

    They are what the encoder would return, up to rounding: it put them into another batch.
    """
    folder, files = store.image_dir, {}
    for path in question.files:
        if folder and path.is_relative_to(folder):
            with contextlib.suppress(OSError, UnicodeError):  # whoever opens it next says why
                file = look_at(path, folder)
                files[columns.image_id(str(file.facts["filepath"]))] = file
    rows = store.find("id", files, ["id", "vector", "size", "mtime", "stamp"])
    same = [row for row in rows if columns.unchanged(row, files[row["id"]].facts)]
    return {files[row["id"]].path: np.array(row["vector"], np.float32) for row in same}


def _decided(logic: Logic, rows: list[dict], nearest: int) -> list[dict]:
    """Return rows in the order of a query with not or or, best first.

    Each has a `note` if others may suit as well: what is not among so many nearest is not known.
    """
    if not rows:
        return []
    vectors = _vectors(rows)
    ranking, scores = logic.ranking(vectors), logic.scores(vectors)
    unsure = ranking < logic.highest_unseen(vectors, nearest)
    told = f"Only the nearest {len(rows):,} images were compared: others may suit as well"
    order = np.argsort(-ranking, kind="stable").tolist()
    return [rows[n] | {"score": scores[n], "note": told if unsure[n] else ""} for n in order]


def _vectors(rows: list[dict], dim: int = -1) -> np.ndarray:
    return np.array([row["vector"] for row in rows], np.float32).reshape(len(rows), dim)


def _hits(rows: list[dict], margins: list[float | None], folder: Path | None) -> list[Hit]:
    """Return rows as hits; exact copies among them name each other."""
    copies = columns.by_digest(rows)
    hits = []
    for row, margin in zip(rows, margins, strict=True):
        others = (each["filepath"] for each in copies.get(row["digest"], []) if each is not row)
        alike, path = tuple(row.get("alike", others)), Path(folder or "", row["filepath"])
        hits.append(Hit(float(row["score"]), margin, path, columns.seen(row), alike))
    return hits


def _newest(hits: list[Hit], field: str, threshold: float | None) -> list[Hit]:
    """Return those that match, newest first; without a verdict, the best ones."""
    chosen = hits[:_SORTED_UNJUDGED]
    if threshold is not None and None not in [hit.margin for hit in hits]:
        chosen = [hit for hit in hits[:_SORTED] if (hit.margin or 0) >= threshold]
    return sorted(chosen, key=lambda hit: getattr(hit, field) or datetime.min, reverse=True)


def known_labels(wanted: str, labels: Sequence[str]) -> list[str]:
    """Return the label that is wanted, or those that differ from it in capitals and blanks alone.

    An underscore is a blank. None if there are no such labels.
    """
    return [wanted] if wanted in labels else [e for e in labels if _spoken(e) == _spoken(wanted)]


def _spoken(label: str) -> str:
    """Return a label as one says it: without capitals, underscores and blanks around it."""
    text = unicodedata.normalize("NFKC", visible(label)).casefold()
    return " ".join(text.replace("_", " ").split())


def _labels_meant(conditions: Where, rows: list[dict], store: ImageStore) -> list:
    """Return the labels of conditions; those that no image has, as the collection writes them."""
    asked, found = conditions.values_of("label"), {row["label"] for row in rows}
    unseen = [each for each in asked if isinstance(each, str) and each not in found]
    labels = store.labels() if unseen else []
    meant = {each: known_labels(each, labels) for each in unseen}
    return [label for each in asked for label in meant.get(each) or [each]]


def _why_nothing(conditions: Where, expression: str, offset: int, store: ImageStore) -> str:
    """Return why there is nothing; refuse fields that no image has."""
    if not (count := store.count()):
        return "The collection is empty: run 02_ingestion first."
    fields, names = store.fields(), names_in(expression)
    if unknown := names - fields:
        known = ", ".join(sorted(fields))
        raise ValueError(f"there is no field {min(unknown)!r} here; there are {known}")
    for column in columns.COLUMNS:
        told = {column.name: (None, None)}
        if column.tells and column.name in names and not store.count(build_filter(told)):
            read = store.count(build_filter({"format": (columns.FORMAT, None)}))
            again = ": ingest into another collection_name to read it" if read < count else ""
            return f"No image here tells {column.tells}{again}."
    for label in conditions.values_of("label"):
        if isinstance(label, str) and not store.count(build_filter({"label": label})):
            labels = store.labels()
            near = difflib.get_close_matches(label, labels, cutoff=0.5) or labels[:5]
            return f"No image has the label {label!r}. Some labels: {', '.join(near) or 'none'}."
    return "" if offset else "No image passes these filters."


def _without_alike(rows: list[dict]) -> list[dict]:
    """Keep the first of each set of images that are alike; it lists the others."""
    kept: dict[int, dict] = {}
    vectors = _vectors(rows)
    for place, row in enumerate(rows):
        cosines = vectors[[*kept]] @ vectors[place]
        if cosines.max(initial=-1) >= _ALIKE:
            kept[[*kept][cosines.argmax()]]["alike"].append(row["filepath"])
        else:
            kept[place] = row | {"alike": []}
    return [*kept.values()]
