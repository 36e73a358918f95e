"""What a row is: one line per field, and only here.

To add a field, add a line here and a fact of that name in `images.facts` or `images.files`, and
raise `FORMAT`. A collection made before keeps it in Milvus's dynamic field; a row written before
has the field's `empty` value.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dates import FIRST, moment
from .connection import pymilvus

_TEXT, _WHOLE = pymilvus.DataType.VARCHAR, pymilvus.DataType.INT64
_REAL = pymilvus.DataType.DOUBLE
_KEY = 32  # hex digits

FORMAT = 2
"""The number of what is described here; raise it with every field. 0 is what had no number yet.

A collection remembers the highest format that wrote to it; a row, the one that read its facts. From
2 on a row has a `stamp`, and dates, cameras and places are read as more programs write them.
"""


@dataclass(frozen=True)
class Column:
    """A field of a row.

    `empty` is its value where nothing is known, as a 2.3 server knows no null: a number below
    `least`, the lowest that can be known. `length` is the most bytes that a text may have. A
    `shown` field is a fact of each hit, in the order of `COLUMNS`. `date` marks seconds since 1970
    (see `dates`). `tells` is what is said of photos, of which not all have it.
    """

    name: str
    type: pymilvus.DataType
    empty: Any
    length: int = 0
    shown: bool = False
    least: float | None = None
    date: bool = False
    tells: str = ""

    @property
    def is_text(self) -> bool:
        """Whether its values are texts."""
        return self.type == _TEXT

    def seen(self, stored: Any) -> Any:
        """Return a stored value as a hit has it: None where it is not known, a date as such."""
        if self.least is not None and stored < self.least:
            return None
        return moment(stored) if self.date else stored


COLUMNS = [
    Column("filepath", _TEXT, "", 4096, shown=True),  # below the image folder
    Column("label", _TEXT, "", 1024, shown=True),  # the parent folder's name
    Column("width", _WHOLE, 0, shown=True, least=1),  # in pixels, upright
    Column("height", _WHOLE, 0, shown=True, least=1),
    Column("size", _WHOLE, 0),  # in bytes
    Column("mtime", _WHOLE, 0),  # in nanoseconds
    Column("stamp", _TEXT, "", 64),  # see `images.files.look_at`; empty in rows of before
    Column("digest", _TEXT, "", _KEY),  # of the file's content: 128-bit BLAKE2b in hex
    Column("moved_from", _TEXT, "", _KEY),  # the `id` where the file was before; that row goes
    Column("format", _WHOLE, 0),  # see `FORMAT`
    # What `images.facts` finds in a photo; degrees are negative in the south and west
    Column(
        "taken", _WHOLE, -(2**62), shown=True, least=FIRST, date=True, tells="when it was taken"
    ),
    Column("camera", _TEXT, "", 256, shown=True, tells="which camera took it"),
    Column("latitude", _REAL, -999.0, shown=True, least=-90, tells="where it was taken"),
    Column("longitude", _REAL, -999.0, shown=True, least=-180),
]
"""Beside `id` (see `image_id`) and `vector`; Linux's longest path has 4,096 bytes."""


def image_id(filepath: str) -> str:
    """Return the primary key of an image: 32 hex digits of its path's 128-bit BLAKE2b digest.

    Paths themselves would break Milvus's expressions on ids when they hold quotes or newlines.

    Raises
    ------
    UnicodeEncodeError
        If the path is not UTF-8.
    """
    return hashlib.blake2b(filepath.encode("utf-8"), digest_size=_KEY // 2).hexdigest()


def key_range(part: int, parts: int) -> tuple[str, str]:
    """Return the lowest and the highest key of a part (from 0) of `parts` equal parts."""
    bounds = (-(-(i * 16**_KEY) // parts) for i in (part, part + 1))
    return f"{next(bounds):0{_KEY}x}", f"{next(bounds) - 1:0{_KEY}x}"


def row(facts: Mapping[str, object], vector: np.ndarray) -> dict:
    """Return an image's row: its facts, without those that have no column, and its vector."""
    empty = {column.name: column.empty for column in COLUMNS}
    return with_facts(empty | {"format": FORMAT, "vector": vector}, facts)


def with_facts(stored: Mapping[str, object], facts: Mapping[str, object]) -> dict:
    """Return a stored row as that of another file with the same content, whose facts these are."""
    own = {column.name: facts[column.name] for column in COLUMNS if column.name in facts}
    vector = np.array(stored["vector"], np.float32)
    return {**stored, **own, "id": image_id(str(facts["filepath"])), "vector": vector}


def unchanged(stored: Mapping[str, object] | None, facts: Mapping[str, object]) -> bool:
    """Return whether a file has a row, and is as it was then, as far as can be seen from outside.

    A row of before, which has no `stamp`, is taken as it is.
    """
    return all(stored[n] in (facts[n], "") for n in ("size", "mtime", "stamp")) if stored else False


def by_digest(rows: Iterable[dict]) -> dict[str, list[dict]]:
    """Return the rows of each digest, without those that have none."""
    found = defaultdict(list)
    for each in rows:
        if each["digest"]:
            found[each["digest"]].append(each)
    return found


def filled(rows: Iterable[Mapping], fields: Sequence[str]) -> Iterator[dict]:
    """Yield these fields of stored rows; a field that a row lacks gets its `empty` value."""
    empty = {column.name: column.empty for column in COLUMNS}
    for found in rows:
        yield {name: found[name] if name in found else empty[name] for name in fields}


def named(name: str) -> Column | None:
    """Return the column of this name; None of a field that others added."""
    return next((column for column in COLUMNS if column.name == name), None)


def shown() -> list[str]:
    """Return the names of the facts of a hit."""
    return [column.name for column in COLUMNS if column.shown]


def seen(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a hit from its row; a number or date that is not known is None."""
    return {column.name: column.seen(stored[column.name]) for column in COLUMNS if column.shown}


def dtypes() -> dict[str, str]:
    """Return the types that a table needs for facts that may be None."""
    reals = {column.name: "float64" for column in COLUMNS if column.type == _REAL}
    return reals | {column.name: "datetime64[s]" for column in COLUMNS if column.date}


def sortable() -> list[str]:
    """Return the names of the fields that hits can be sorted by."""
    return [column.name for column in COLUMNS if column.date]


def schema(dim: int) -> pymilvus.CollectionSchema:
    """Return Milvus's schema of the rows; fields that others add go to the dynamic field."""
    made = pymilvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    made.add_field("id", _TEXT, max_length=_KEY, is_primary=True)
    made.add_field("vector", pymilvus.DataType.FLOAT_VECTOR, dim=dim)
    for column in COLUMNS:
        length = {"max_length": column.length} if column.length else {}
        made.add_field(column.name, column.type, **length)
    return made
