"""What is right: which images of a collection each query should find.

There are three ways to know: folders of classes, captions, and queries that somebody judged. And of
the demo's drawings it is known what hard questions should find. All become `Judgements`, which hold
the vectors of the images as well: they are read from Milvus once, and never encoded again.
"""

import csv
import io
import itertools
import json
import os
import textwrap
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ..collection.store import ImageStore
from ..demo.drawings import listed_drawings
from ..demo.questions import Texts, hard_questions
from ..query.queries import AnyOf, Query, Term, visible
from ..query.results import as_written, safe_csv
from ..settings import FLAGS, resolve_path
from .figures import Tabled, counted

CAPTIONS, BY_HAND, LABELS, DRAWINGS = "captions", "judged queries", "class folders", "drawings"
_SHOWN = 5  # queries
_NAMED = 3  # examples of paths
_COLUMNS = ("query", "filepath", "relevant")
_HOW_TO_JUDGE = """\
Nothing says what is right for the images of {!r}: no folder is named after what they show

To measure the search, judge some of its answers:

1. Search in the panel (at the end of 03_search, or make app). Mark photos as right or wrong by
   thumbs up and down, and press "save thumbs" under "options": that writes judged.csv.
2. Or write this file yourself: a query, a photo, and 1 if it is right or 0 if it is wrong.

{}
3. Run this notebook again with the parameter judged: -p judged judged.csv

With twenty queries or more, 07_no_match can also tell where matches begin. If you have captions,
name their file as the parameter captions instead."""
_MARKS = FLAGS | dict.fromkeys("✓✔☑☒✅○👍", True) | dict.fromkeys("✗✘❌×☐👎", False)


class NothingJudgedError(ValueError):
    """Nothing says what is right for the images of this collection."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]  # in a notebook: it is no fault, and the message says all


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
    source : {"class folders", "captions", "judged queries", "drawings"}
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
    kinds : sequence of n str
        Which kind each query is, if they are hard questions.
    asked : sequence of n Query
        What to search for instead of each text, if not for the text.
    """

    source: str
    queries: Sequence[str]
    relevant: Sequence[np.ndarray]
    groups: Sequence[Hashable]
    pool: Pool
    wrong: Sequence[np.ndarray] = ()
    note: str = ""
    kinds: Sequence[str] = ()
    asked: Sequence[Query] = ()
    _most = _SHOWN

    def __len__(self) -> int:
        return len(self.queries)

    def table(self) -> pd.DataFrame:
        """Return each query, how many images are relevant, and one of them."""
        examples = [self.pool.filepaths[each[0]] if len(each) else "" for each in self.relevant]
        counts = [len(each) for each in self.relevant]
        return pd.DataFrame({"query": self.queries, "relevant images": counts, "such as": examples})

    def _heading(self) -> str:
        queries = counted(len(self), "query", "queries")
        words = f"What is right, by {self.source}: {queries}, {len(self.pool):,} images"
        return words + (f"; the first {_SHOWN} queries" if len(self) > _SHOWN else "")

    def verdict(self, query: int, place: int) -> str:
        """Return what an image is for a query: "right", "wrong", or "not judged"."""
        if place in self.relevant[query]:
            return "right"
        by_hand = self.source == BY_HAND
        return "not judged" if by_hand and place not in self.wrong[query] else "wrong"


def read_pool(store: ImageStore) -> Pool:
    """Read the vectors of all images from Milvus."""
    fields = ("filepath", "label", "vector")
    rows = [row | {"vector": np.array(row["vector"], np.float32)} for row in store.rows(fields)]
    filepaths, labels, vectors = ([row[name] for row in rows] for name in fields)
    return Pool(filepaths, labels, np.array(vectors, np.float32), store.image_dir or Path())


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
    words = [(names or {}).get(label, label).replace("_", " ") for label in pool.labels]
    asked = pd.Series(list(map(_asked, words)), dtype=object)
    of_each = asked.groupby(asked).indices
    without = len(of_each.pop("", ()))
    if len(of_each) < 2:
        judged = dict(zip(pool.paths(range(len(pool))[:2]), (True, False), strict=False))
        example = textwrap.indent(judged_csv("my cat", judged, pool.folder), "   ")
        raise NothingJudgedError(_HOW_TO_JUDGE.format(store.collection_name, example))
    texts, relevant = map(list, zip(*of_each.items(), strict=True))
    note = f"{counted(without, 'image', 'images')} without a label count as wrong"
    return Judgements(LABELS, texts, relevant, texts, pool, note=note if without else "")


def from_captions(store: ImageStore, path: str | os.PathLike) -> Judgements:
    """Read captions; each is a query, for which its own photo alone is relevant.

    That is the protocol of Flickr30k and COCO.

    Parameters
    ----------
    store : ImageStore
    path : path
        A file with an object a line: {"file": "dog.jpg", "captions": ["a white dog", ...]}. Files
        count from the image folder, or from the folder of the captions. Another path is matched by
        its end: "dog.jpg" finds "2019/dog.jpg", and "photos/dog.jpg" finds "dog.jpg", if there is
        but one. The note counts what was not found or is not sure.

    Raises
    ------
    ValueError
        If a line cannot be read, which is named; or if none of the files is in the collection.
    OSError
        If there is no such file.
    """
    path = resolve_path(path)
    pool = read_pool(store)
    entries = list(_captions(path))
    found = _find([file for file, _ in entries], pool, path.parent)
    sure = [(found[file], texts) for file, texts in entries if len(found[file]) == 1]
    queries = [text for _, texts in sure for text in texts]
    relevant = [np.array(places) for places, texts in sure for _ in texts]
    note = _missing(path, found, len(queries), pool)
    groups = [int(places[0]) for places in relevant]
    return Judgements(CAPTIONS, queries, relevant, groups, pool, note=note)


def _captions(path: Path) -> Iterator[tuple[str, list[str]]]:
    numbered = [(number, line) for number, line in enumerate(_lines(path), 1) if line.strip()]
    for number, line in numbered:
        try:
            entry = json.loads(line)
            file, captions = entry["file"], entry["captions"]
            if not isinstance(file, str) or not isinstance(captions, list):
                raise TypeError("file is a text, captions a list")
            yield file, list(filter(None, map(_asked, captions)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number}: expected an object like "
                f'{{"file": "dog.jpg", "captions": ["a white dog"]}} ({error!r:.200})'
            ) from None


def from_csv(store: ImageStore, path: str | os.PathLike) -> Judgements:
    """Read queries that somebody judged: a table with the columns query, filepath, relevant.

    Parameters
    ----------
    store : ImageStore
    path : path
        A CSV file, with commas, semicolons or tabs. `relevant` is 1 or 0 (above 0 is relevant), a
        mark such as ✓ or ✗, or one of the words for yes and no in the large languages. Where
        nothing else says yes, x does; and where nothing says no, an empty cell does. Else neither
        can be read: x might be a cross, and an image may not have been judged. A row without a
        filepath, "a zebra,,0", says that no image shows this. The apostrophes of `safe_csv` are
        taken away.

    Raises
    ------
    ValueError
        If a line cannot be read, or contradicts another; or if no query is left.
    OSError
        If there is no such file.
    """
    path = resolve_path(path)
    pool = read_pool(store)
    rows = list(_judged_rows(path))
    meanings = _meanings({word for _, (_, _, word) in rows})
    found = _find([filepath for _, (_, filepath, _) in rows if filepath], pool, path.parent)
    judged: dict[str, dict[int | str, bool]] = {}  # by an image's place, or its name if not here
    for number, (query, filepath, word) in rows:
        of_query, relevant = judged.setdefault(query, {}), meanings.get(word, False)
        place = found[filepath][0] if len(found.get(filepath, [])) == 1 else filepath
        both = of_query.setdefault(place, relevant) != relevant
        some = relevant or (not filepath and any(of_query.values()))
        some_and_none, unread = some and "" in of_query, not query or word not in meanings
        faults = {
            f"expected a query, a filepath, and 1 or 0, got {[query, filepath, word]}": unread,
            f"which image is relevant for {query!r}?": relevant and not filepath,
            f"{filepath} is relevant for {query!r} in one line, and not relevant in another": both,
            f"no image shows {query!r} by one line, and an image does by another": some_and_none,
        }
        if fault := [words for words, is_so in faults.items() if is_so]:
            raise ValueError(f"{path}, line {number}: {fault[0]}")
    kept = {query: of_query for query, of_query in judged.items() if _says_enough(of_query)}
    right, wrong = ([_places(each, said) for each in kept.values()] for said in (True, False))
    empty = sum(not word for _, (_, _, word) in rows)
    notes = [_missing(path, found, len(kept), pool), f"{empty:,} empty cells count as wrong"]
    note = "; ".join(filter(None, notes if empty else notes[:1]))
    return Judgements(BY_HAND, list(kept), right, list(kept), pool, wrong, note)


def _says_enough(of_query: Mapping[int | str, bool]) -> bool:
    """Return whether a query is not one whose right images are not here: then none seems right."""
    seen, not_seen = _places(of_query, True), _places(of_query, False)
    return "" in of_query or len(seen) > 0 or (len(not_seen) > 0 and not any(of_query.values()))


def _places(of_query: Mapping[int | str, bool], wanted: bool) -> np.ndarray:
    """Return the places judged so; none if no image shows the query, for then all are wrong."""
    known = [] if "" in of_query else of_query.items()
    return np.array([p for p, value in known if value == wanted and isinstance(p, int)], int)


def judged_csv(query: str, judged: Mapping[Path, bool], folder: Path) -> str:
    """Return judgements of one query as `from_csv` reads them; paths count from the folder."""
    paths = [path.relative_to(folder) if path.is_relative_to(folder) else path for path in judged]
    columns = (query, [path.as_posix() for path in paths], [*map(int, judged.values())])
    return safe_csv(pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True))))


def from_drawings(pool: Pool, typed: bool = False, each: int = 30, seed: int = 0) -> Judgements:
    """Take hard questions about the demo's drawings, such as "a star that is not red".

    Parameters
    ----------
    pool : Pool
        See `read_pool`. If its images are not the drawings, there is no question, and the note
        says so.
    typed : bool
        Ask them as they are typed, as one text each, and not as a `Query`.
    each, seed : int
        How many of a kind, and which; see `hard_questions`.
    """
    rows = listed_drawings(pool.folder).set_index("filepath").reindex(pool.filepaths)
    questions = hard_questions(rows, each, seed)
    words, kinds = [one.words for one in questions], [one.kind for one in questions]
    asked = [] if typed else [Query(_terms(one.like), _terms(one.unlike)) for one in questions]
    relevant = [np.array(one.wanted, int) for one in questions]
    note = "" if questions else "What hard questions should find is known of the drawings alone"
    return Judgements(DRAWINGS, words, relevant, words, pool, note=note, kinds=kinds, asked=asked)


def _terms(texts: Texts) -> list[Term]:
    return [AnyOf(*text) if isinstance(text, tuple) else text for text in texts]


def _find(names: Iterable[str], pool: Pool, beside: Path) -> dict[str, list[int]]:
    """Return which images each name may mean: by its path, else where one is the other's end."""
    real = cache(os.path.realpath)  # asks the disk once a folder, not once a file
    folders = ["", *(os.path.join(way(pool.folder), "") for way in (os.path.abspath, real))]
    places, ending = dict[str, list[int]](), dict[str, list[int]]()
    for place, path in enumerate(pool.filepaths):
        places |= {_plain(folder + path): [place] for folder in folders}
        for end in _ends(path):
            ending.setdefault(end, []).append(place)
    found = {}
    for name in dict.fromkeys(names):
        ends = _ends(name.replace("\\", "/"))
        spelled = (places.get(_plain(each)) for each in _spellings(name, pool.folder, beside, real))
        by_end = (ending.get(ends[0]), *map(places.get, ends))
        found[name] = next(filter(None, itertools.chain(spelled, by_end)), [])
    return found


def _ends(path: str) -> list[str]:
    """Return a path, then what is left without its first folder, and so on to the file's name."""
    parts = _plain(path).split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _spellings(name: str, images: Path, beside: Path, real: Callable) -> Iterator[str]:
    """Yield what an image may be called, as long as it is asked for more."""
    yield from (name, name.replace("\\", "/"))
    for path in () if "\0" in name else (os.path.join(images, name), os.path.join(beside, name)):
        folder, file = os.path.split(path)
        yield os.path.abspath(path)
        yield real(path) if os.path.islink(path) else os.path.join(real(folder), file)


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.removeprefix("./").replace(os.sep, "/"))


def _asked(text: str) -> str:
    """Return a text as a query is asked, or "" if there is nothing to see in it."""
    text.encode()  # half a character cannot be asked for
    return visible(text).strip()


def _judged_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that is not empty, and its query, filepath and relevance."""
    lines = _lines(path)
    first = 1 + "".join(lines[:1]).strip().lower().startswith("sep=")  # as Excel writes it
    heads = [(each, _columns(lines[first - 1 :], each)) for each in ",;\t"]
    delimiter, columns = max(heads, key=lambda head: (set(_COLUMNS) <= {*head[1]}, len(head[1])))
    if not set(_COLUMNS) <= set(columns):
        raise ValueError(
            f"{path}: the first line must name the columns {', '.join(_COLUMNS)}; it names "
            f"{', '.join(columns) or 'none'}"
        )
    reader = csv.DictReader(lines[first:], columns, delimiter=delimiter, strict=True)
    number = first
    try:
        for row in reader:
            number = first + reader.line_num
            query, *cells = (as_written((row[name] or "").strip()) for name in _COLUMNS)
            if query or any(cells):
                yield number, [_asked(query), *cells]
    except csv.Error as error:
        raise ValueError(f"{path}, line {number + 1}: {error}") from None


def _meanings(cells: Iterable[str]) -> dict[str, bool]:
    """Return what the cells of a column say, without those that cannot be read; see `from_csv`."""
    words = {c: unicodedata.normalize("NFKC", c).casefold().strip("\ufe0f") for c in cells}
    read = {c: _MARKS.get(word, word.replace(",", ".")) for c, word in words.items()}
    numbers = pd.to_numeric(pd.Series(read, dtype=object), errors="coerce").dropna()
    says = (numbers > 0).to_dict()
    if True not in says.values():
        says |= {cell: True for cell, word in words.items() if word in ("x", "х")}  # two alphabets
    return says if False in says.values() or not says else says | {"": False}


def _columns(lines: list[str], delimiter: str) -> list[str]:
    head = next(csv.reader(lines[:1], delimiter=delimiter), [])
    return [name.strip().lower() for name in head]


def _lines(path: Path) -> list[str]:
    try:
        return list(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8 ({error}): save it as UTF-8") from None


def _missing(path: Path, found: Mapping[str, list[int]], left: int, pool: Pool) -> str:
    """Return a note on files that are not in the collection, or unclear; refuse if none is left."""
    gone = [name for name, places in found.items() if not places]
    unclear = [name for name, places in found.items() if len(places) > 1]
    words = f"{path.name} names {counted(len(found), 'file', 'files')}"
    if gone:
        known = ", ".join(pool.filepaths[:_NAMED]) or "none"
        words += f"; {len(gone):,} not in the collection, such as {gone[0]} (there are {known})"
    if unclear:
        several = " or ".join(pool.filepaths[place] for place in found[unclear[0]][:_NAMED])
        words += f"; {len(unclear):,} not clear, such as {unclear[0]} (is it {several}?)"
    if not left:
        raise ValueError(f"{path} has no query: {words if found else 'it is empty'}")
    return words if gone or unclear else ""
