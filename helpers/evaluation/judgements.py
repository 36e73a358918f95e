"""What is right: which images of a collection each query should find.

There are three ways to know: folders of classes, captions, and queries that somebody judged. All
become `Judgements`, which hold the vectors of the images as well: they are read from Milvus once,
and never encoded again.
"""

import csv
import io
import json
import os
import unicodedata
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..batches import batches
from ..collection.store import ImageStore
from ..paths import resolve_path
from ..query.queries import visible
from ..query.results import as_written, safe_csv
from .tables import Tabled, counted

__all__ = [
    "Judgements",
    "NothingJudgedError",
    "Pool",
    "from_captions",
    "from_csv",
    "from_labels",
    "judged_csv",
    "judgements_of",
    "read_pool",
]

CAPTIONS, JUDGED, LABELS = "captions", "judged queries", "class folders"
_AT_ONCE = 1000
_SHOWN = 5  # queries
_NAMED = 3  # examples in an error
_COLUMNS = ("query", "filepath", "relevant")
_WORDS = {"true": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "n": 0.0}


class NothingJudgedError(ValueError):
    """Nothing says what is right for the images of this collection."""


@dataclass(frozen=True)
class Pool:
    """The images among which queries find theirs.

    `vectors` is float32 of shape (n, dim), each row of unit length. `folder` is where `filepaths`
    count from.
    """

    filepaths: list[str]
    labels: list[str]
    vectors: np.ndarray
    folder: Path

    def __len__(self) -> int:
        return len(self.filepaths)

    def paths(self, places: Iterable[int]) -> list[Path]:
        """Return where the images at these places are."""
        return [self.folder / self.filepaths[place] for place in places]


@dataclass(frozen=True, repr=False)
class Judgements(Tabled):
    """Queries, and for each the places in the pool of what is relevant; shown as a table.

    Attributes
    ----------
    source : {"class folders", "captions", "judged queries"}
    queries : sequence of n str
    relevant : sequence of n ndarrays of int
    groups : sequence of n
        Queries that belong together, such as the captions of one photo, have the same.
    pool : Pool
    wrong : sequence of n ndarrays of int
        What was judged to be wrong. With class folders and captions it is empty: there, all that
        is not relevant is wrong.
    note : str
        What was left out.
    """

    source: str
    queries: Sequence[str]
    relevant: Sequence[np.ndarray]
    groups: Sequence[Hashable]
    pool: Pool
    wrong: Sequence[np.ndarray] = ()
    note: str = ""
    _most = _SHOWN

    def __len__(self) -> int:
        return len(self.queries)

    def table(self) -> pd.DataFrame:
        """Return each query, how many images are relevant, and one of them."""
        examples = [self.pool.filepaths[each[0]] if len(each) else "" for each in self.relevant]
        counts = [len(each) for each in self.relevant]
        columns = {"query": list(self.queries), "relevant images": counts, "such as": examples}
        return pd.DataFrame(columns)

    def _heading(self) -> str:
        queries = counted(len(self), "query", "queries")
        words = f"What is right, by {self.source}: {queries}, {len(self.pool):,} images"
        words += f"; the first {_SHOWN} queries" if len(self) > _SHOWN else ""
        return f"{words}. {self.note}" if self.note else words

    def verdict(self, query: int, place: int) -> str:
        """Return what an image is for a query: "right", "wrong", or "not judged"."""
        if place in self.relevant[query]:
            return "right"
        by_hand = self.source == JUDGED
        return "not judged" if by_hand and place not in self.wrong[query] else "wrong"

    def within(self, pool: Pool) -> "Judgements":
        """Return the same judgements of the same images in another pool, as of another model.

        Raises
        ------
        ValueError
            If the images are not the same.
        """
        if sorted(pool.filepaths) != sorted(self.pool.filepaths):
            raise ValueError(
                f"the other collection holds other images ({len(pool):,}, here "
                f"{len(self.pool):,}): ingest the same folder into both"
            )
        places = {filepath: place for place, filepath in enumerate(pool.filepaths)}
        moved = np.array([places[filepath] for filepath in self.pool.filepaths], int)
        return replace(
            self,
            pool=pool,
            relevant=[moved[each] for each in self.relevant],
            wrong=[moved[each] for each in self.wrong],
        )


def read_pool(store: ImageStore) -> Pool:
    """Read the vectors of all images from Milvus, in batches."""
    filepaths: list[str] = []
    labels: list[str] = []
    vectors = []
    rows = store.rows(["filepath", "label", "vector"])
    for batch in batches(rows, _AT_ONCE):
        filepaths += [row["filepath"] for row in batch]
        labels += [row["label"] for row in batch]
        vectors.append(np.array([row["vector"] for row in batch], np.float32))
    whole = np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)
    return Pool(filepaths, labels, whole, store.image_dir or Path())


def judgements_of(
    store: ImageStore,
    captions: str | os.PathLike | None = None,
    judged: str | os.PathLike | None = None,
) -> Judgements:
    """Return what is right by the file of judged queries, else of captions, else by the labels.

    Raises
    ------
    NothingJudgedError
        If there is neither such a file, nor are there at least two labels.
    ValueError, OSError
        See `from_csv` and `from_captions`.
    """
    if judged:
        return from_csv(store, judged)
    return from_captions(store, captions) if captions else from_labels(store)


def from_labels(store: ImageStore, names: Mapping[str, str] | None = None) -> Judgements:
    """Take each label as a query, for which all images of that label are relevant.

    Parameters
    ----------
    store : ImageStore
    names : dict, optional
        Better words for some labels: {"n02102040": "English springer"}. Otherwise a label is
        asked as it is, with spaces for underscores.

    Raises
    ------
    NothingJudgedError
        If there are fewer than two labels.
    """
    pool = read_pool(store)
    names = names or {}
    of_each: dict[str, list[int]] = {}
    for place, label in enumerate(pool.labels):
        if text := _asked(names.get(label, label).replace("_", " ")):
            of_each.setdefault(text, []).append(place)
    if len(of_each) < 2:
        raise NothingJudgedError(
            f"nothing says what is right for the images of {store.collection_name!r}: they are "
            "not in folders named after what they show. Write down some queries and which images "
            "they should find, in a file with the columns query, filepath, relevant, and name it "
            "as the parameter `judged`; or name a file of captions as `captions`"
        )
    texts = sorted(of_each)
    without = len(pool) - sum(map(len, of_each.values()))
    return Judgements(
        LABELS,
        texts,
        [np.array(of_each[text]) for text in texts],
        texts,
        pool,
        note=f"{counted(without, 'image', 'images')} without a label count as wrong"
        * bool(without),
    )


def from_captions(store: ImageStore, path: str | os.PathLike) -> Judgements:
    """Read captions; each is a query, for which its own photo alone is relevant.

    That is the protocol of Flickr30k and COCO.

    Parameters
    ----------
    store : ImageStore
    path : path
        A file with an object a line: {"file": "dog.jpg", "captions": ["a white dog", ...]}. Files
        count from the image folder, or from the folder of the captions.

    Raises
    ------
    ValueError
        If a line cannot be read, which is named; or if none of the files is in the collection.
    OSError
        If there is no such file.
    """
    path = resolve_path(path)
    pool = read_pool(store)
    find = _Finder(pool, path.parent)
    queries, relevant, missing = [], [], []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            file, captions = entry["file"], entry["captions"]
            if not isinstance(file, str) or not isinstance(captions, list):
                raise TypeError("file is a text, captions a list")
            texts = list(filter(None, map(_asked, captions)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number}: expected an object like "
                f'{{"file": "dog.jpg", "captions": ["a white dog"]}} ({error!r:.200})'
            ) from None
        place = find(file)
        if place is None:
            missing.append(file)
            continue
        queries += texts
        relevant += [np.array([place])] * len(texts)
    note = _missing(path, missing, len(queries), pool)
    groups = [int(places[0]) for places in relevant]
    return Judgements(CAPTIONS, queries, relevant, groups, pool, note=note)


def from_csv(store: ImageStore, path: str | os.PathLike) -> Judgements:
    """Read queries that somebody judged: a table with the columns query, filepath, relevant.

    Parameters
    ----------
    store : ImageStore
    path : path
        A CSV file, with commas, semicolons or tabs. `relevant` is 1 or 0 (or yes or no; above 0 is
        relevant). A row without a filepath, "a zebra,,0", says that no image shows this. The
        apostrophes of `safe_csv` are taken away.

    Raises
    ------
    ValueError
        If a line cannot be read, or contradicts another; or if no query is left.
    OSError
        If there is no such file.
    """
    path = resolve_path(path)
    pool = read_pool(store)
    find = _Finder(pool, path.parent)
    judged: dict[str, dict[int, bool]] = {}
    missing = []
    lost, not_shown = set(), set()  # queries whose relevant images are not here, or nowhere
    for number, (query, filepath, value) in _judged_rows(path):
        of_query = judged.setdefault(query, {})
        if not filepath and value:
            raise ValueError(f"{path}, line {number}: which image is relevant for {query!r}?")
        place = find(filepath)
        if not filepath:
            not_shown.add(query)
        elif place is None:
            missing.append(filepath)
            lost |= {query} if value else set()
        elif of_query.setdefault(place, value) != value:
            raise ValueError(
                f"{path}, line {number}: {filepath} is relevant for {query!r} in one line, and "
                "not relevant in another"
            )
        if query in not_shown and (query in lost or any(of_query.values())):
            raise ValueError(
                f"{path}, line {number}: no image shows {query!r} by one line, and an image does "
                "by another"
            )
    for query, of_query in list(judged.items()):
        if query in not_shown:
            of_query.clear()  # all images are wrong
        elif not of_query or (query in lost and not any(of_query.values())):
            del judged[query]  # it would pass for one that nothing here shows
    note = _missing(path, missing, len(judged), pool)

    def places(of_query: dict[int, bool], wanted: bool) -> np.ndarray:
        return np.array([place for place, value in of_query.items() if value == wanted], int)

    return Judgements(
        JUDGED,
        list(judged),
        [places(each, True) for each in judged.values()],
        list(judged),
        pool,
        [places(each, False) for each in judged.values()],
        note=note,
    )


def judged_csv(query: str, judged: Mapping[Path, bool], folder: Path) -> str:
    """Return judgements of one query as `from_csv` reads them; paths count from the folder."""
    rows = []
    for path, relevant in judged.items():
        inside = path.relative_to(folder) if path.is_relative_to(folder) else path
        rows.append((query, inside.as_posix(), int(relevant)))
    return safe_csv(pd.DataFrame(rows, columns=list(_COLUMNS)))


class _Finder:
    """Finds an image in a pool by what a file calls it."""

    def __init__(self, pool: Pool, beside: Path) -> None:
        self._folders = pool.folder, beside
        self._places = {_plain(name): place for place, name in enumerate(pool.filepaths)}

    def __call__(self, name: str) -> int | None:
        found = (self._places.get(_plain(each)) for each in self._spellings(name))
        return next((place for place in found if place is not None), None)

    def _spellings(self, name: str) -> Iterator[str]:
        """Yield what the pool could call it, as long as it is asked for more."""
        yield name
        yield name.replace("\\", "/")
        images, beside = self._folders
        if "\0" in name:
            return
        for path in (images / name, beside / name):
            for written in (os.path.abspath, os.path.realpath):  # with links, and without
                if Path(written(path)).is_relative_to(written(images)):
                    yield Path(written(path)).relative_to(written(images)).as_posix()


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.removeprefix("./"))


def _asked(text: str) -> str:
    """Return a text as a query is asked, or "" if there is nothing to see in it."""
    text.encode()  # half a character cannot be asked for
    return visible(text).strip()


def _judged_rows(path: Path) -> Iterator[tuple[int, tuple[str, str, bool]]]:
    lines = _lines(path)
    first = 1
    if lines and lines[0].strip().lower().startswith("sep="):  # as Excel writes it
        lines, first = lines[1:], 2
    heads = [_columns(lines, delimiter) for delimiter in ",;\t"]
    delimiter, columns = next(
        (pair for pair in zip(",;\t", heads, strict=True) if set(_COLUMNS) <= set(pair[1])),
        ("", max(heads, key=len)),
    )
    if not delimiter:
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(_COLUMNS)}; it names "
            f"{', '.join(columns) or 'none'}"
        )
    reader = csv.DictReader(lines[1:], columns, delimiter=delimiter, strict=True)
    number = first
    try:
        for row in reader:
            number = first + reader.line_num
            texts = [as_written((row[name] or "").strip()) for name in _COLUMNS]
            if not any(texts):
                continue
            query, filepath, value = texts
            relevant = _WORDS.get(value.lower())
            relevant = float(value) if relevant is None else relevant
            if not _asked(query) or relevant != relevant:
                raise ValueError
            yield number, (_asked(query), filepath, relevant > 0)
    except csv.Error as error:
        raise ValueError(f"{path}, line {number + 1}: {error}") from None
    except ValueError:
        raise ValueError(
            f"{path}, line {number}: expected a query, a filepath, and 1 or 0, got "
            f"{', '.join(map(repr, texts))}"
        ) from None


def _columns(lines: list[str], delimiter: str) -> list[str]:
    head = next(csv.reader(lines[:1], delimiter=delimiter), [])
    return [name.strip().lower() for name in head]


def _lines(path: Path) -> list[str]:
    try:
        return list(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}): save it as UTF-8") from None


def _missing(path: Path, missing: list[str], left: int, pool: Pool) -> str:
    """Return a note on files that are not in the collection; refuse if nothing is left."""
    some = ", ".join(missing[:_NAMED])
    if not left:
        known = ", ".join(pool.filepaths[:_NAMED])
        why = f"none of its files is in the collection ({some}; there are {known})"
        raise ValueError(f"{path} has no query: {why if missing else 'it is empty'}")
    times = counted(len(missing), "time", "times")
    words = f"{path.name} names files that are not in the collection, {times}: {some}"
    return words if missing else ""
