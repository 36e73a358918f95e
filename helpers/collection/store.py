"""`ImageStore`: a Milvus collection of images.

Not about where vectors come from (`encoder`) or how questions are asked (`retrieval`).
"""

import contextlib
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..batches import batches
from ..encoding import Encoder
from ..settings import resolve_path
from . import columns
from .connection import Connection, grpc, pymilvus
from .filters import build_filter

MAX_LIMIT = 16_384  # Milvus's own; above it Lite silently returns fewer hits
_MESSAGE_BYTES = 16 << 20  # a server refuses messages above 64 MB
_BATCH_BYTES = 64 << 20  # read at once, at most; 16,000 rows are read four times as fast as 1,000
_ROWS_PER_BATCH = 16_000  # Milvus's own limit is slightly higher
_KEYS_PER_MESSAGE = 1000
_FLUSH_EVERY = 10_000  # rows in a local file: opening one after a kill replays what is not flushed
_LABELS = 10_000
_SAMPLE = 100  # rows, where a few are enough to know the others
_FRESH = 4.0  # seconds that a search may rely on what it knows about the collection
_NOT_FOUND = 100  # Milvus's code
_REAL = pymilvus.DataType.DOUBLE
_OF_MODEL = ("model", "model_name", "model_dim", "model_digest", "model_content")
_REMEMBERED = (*_OF_MODEL, "image_dir", "format")


class _NotFoundError(ConnectionError):
    """The collection does not exist, or no longer exists."""


class ImageStore:
    """A Milvus collection of images, in a local file or on a server.

    The first `ingest` makes the collection. `columns` lists the fields of a row; more may be added
    (dynamic field).

    Parameters
    ----------
    uri : str or path
        A path (Milvus Lite), or `http(s)://host:port` (a server or Zilliz Cloud, with the token
        in the environment variable `MILVUS_TOKEN`).
    collection_name : str
    image_dir : path, optional
        Where the images are now, if the folder has moved since they were ingested.

    Raises
    ------
    ValueError, OSError, ConnectionError
        If the name is not valid, or the database cannot be opened; see `connection.Connection`.
    """

    def __init__(
        self,
        uri: str | os.PathLike = "milvus.db",
        collection_name: str = "image_collection",
        image_dir: str | os.PathLike | None = None,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z_]\w{0,254}", collection_name, re.ASCII):
            raise ValueError(
                f"collection_name {collection_name!r}: use at most 255 letters, digits and _, "
                "and no digit first"
            )
        self.collection_name = collection_name
        self._moved_to = resolve_path(image_dir) if image_dir else None
        self._connection = Connection(uri)
        self._loaded_by: pymilvus.MilvusClient | None = None
        self._behind = True  # does a search have to wait for what was written?
        self._known: dict[str, str] | None = None  # the collection's properties, if there is one
        self._grouping: set[str] = set()  # fields that Milvus can group by: not dynamic, not real
        self._known_at = -_FRESH
        self._unflushed = self._writes = 0  # rows, and how often this object wrote
        self._sample: tuple[object, np.ndarray] | None = None

    def __enter__(self) -> "ImageStore":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ImageStore({self.shown_uri!r}, {self.collection_name!r})"

    @property
    def client(self) -> pymilvus.MilvusClient:
        """The MilvusClient itself, for everything this class does not do."""
        return self._connection.client

    @property
    def shown_uri(self) -> str:
        """The address of the database, without a password."""
        return self._connection.shown_uri

    @property
    def image_dir(self) -> Path | None:
        """The folder that `filepath` counts from; None before the first ingestion."""
        folder = self._moved_to or self.properties.get("image_dir")
        return Path(folder) if folder else None

    @property
    def properties(self) -> dict[str, str]:
        """What the collection remembers: model_name, model_dim, image_dir, format and others.

        `model` opens the model again; `model_content` and, in older collections, `model_digest`
        tell whether it is the same. Empty before the first ingestion. ValueError if the collection
        was made by others.
        """
        self._known_at = -_FRESH
        return self._remembered()

    @property
    def calibration(self) -> dict[str, Any]:
        """Where matches begin here, as `helpers.calibrate` measured it; empty if nobody did."""
        self._remembered()
        try:
            return json.loads((self._known or {}).get("calibration") or "{}")
        except ValueError:  # not ours
            return {}

    def keep_calibration(self, calibration: Mapping[str, Any]) -> None:
        """Keep with the collection where matches begin in it.

        Raises
        ------
        OSError
            If it cannot be kept: not every user of a server may change a collection.
        """
        with self._explained("changed"):
            self.client.alter_collection_properties(
                self.collection_name, {"calibration": json.dumps(dict(calibration))}
            )
        self._known_at = -_FRESH

    def others(self) -> list["ImageStore"]:
        """Return the collections of this database that other models filled from the same folder.

        They are open, and share nothing with this object.
        """
        mine = self.properties
        found = []
        with self._explained("listed"):
            names = set(self.client.list_collections()) - {self.collection_name}
        for name in sorted(names):
            other = ImageStore(self._connection.uri, name)
            with contextlib.suppress(ValueError):  # others made it, or a later version
                theirs = other.properties
                same = mine.get("image_dir") == theirs.get("image_dir")
                known_by = _identity(mine, theirs)
                if theirs and same and theirs[known_by] != mine[known_by]:
                    found.append(other)
                    continue
            other.close()
        return found

    def count(self, filter: str = "") -> int:
        """Return the number of images that a filter lets through; 0 if there is no collection."""
        try:
            with self._explained("counted"), self._consistency() as level:
                answer = self._loaded().query(
                    self.collection_name,
                    filter,
                    output_fields=["count(*)"],
                    consistency_level=level,
                )
        except _NotFoundError:
            return 0
        return answer[0]["count(*)"]

    def sample(self, size: int) -> np.ndarray:
        """Return the vectors of images drawn at random, the same ones every time.

        The sample is kept until this object writes again, or until some seconds after another one
        wrote and flushed.

        Returns
        -------
        ndarray of float32, shape (n, dim)
            About as many as asked for and never more, or all if there are fewer.
        """
        self._remembered()
        known = self._known or {}
        state = size, self._writes, known.get("made"), known.get("written")
        if self._sample is None or self._sample[0] != state:
            self._sample = state, self._draw(size)
        return self._sample[1]

    def _draw(self, size: int) -> np.ndarray:
        count = self.count()
        if not count:
            return np.empty((0, 0), np.float32)
        # Keys are digests, so they are random: those below a bound are a fair sample.
        bound = min(int(1.1 * size / count * 16**8), 16**8 - 1)
        with self._explained("read"):
            rows = self._loaded().query(
                self.collection_name, f'id <= "{bound:08x}g"', output_fields=["vector"], limit=size
            )
        return np.array([row["vector"] for row in rows], np.float32)

    def open_for(self, model: Encoder, image_dir: Path) -> None:
        """Make the collection for a model and a folder; if it exists, check that it is theirs.

        Raises
        ------
        ValueError
            If another model or another folder filled the collection.
        """
        if not self.properties:
            self._create(model, image_dir)
            return
        known = self.check_model(model)
        if not self.follow(image_dir):
            raise ValueError(
                f"collection {self.collection_name!r} holds the images of {self.image_dir}, and "
                f"most of them are not in {image_dir}. Choose another collection_name for these, "
                "or name as image_dir the folder where those images are now"
            )
        if int(known.get("format", 0)) < columns.FORMAT or "model_content" not in known:
            self._note(format=str(columns.FORMAT), model_content=model.content)

    def holds(self, image_dir: Path) -> bool:
        """Return whether most of a sample of the images are in a folder."""
        if self.image_dir == image_dir:
            return True
        known = list(self.rows(["filepath", "size"], limit=_SAMPLE))
        found = sum(_size(image_dir / row["filepath"]) == row["size"] for row in known)
        return found > len(known) / 2 or not known

    def follow(self, image_dir: Path) -> bool:
        """Take a folder as the place of the images, if it `holds` them.

        The collection remembers it, where the server permits that.
        """
        if self.image_dir == image_dir:
            return True
        if not self.holds(image_dir):
            return False
        self._moved_to = image_dir
        with self._explained("changed"):
            self._note(image_dir=str(image_dir))
        return True

    def check_model(self, model: Encoder) -> dict[str, str]:
        """Refuse a model that did not fill this collection: its scores would mean nothing.

        Returns
        -------
        dict
            The collection's properties; empty before the first ingestion.

        Raises
        ------
        ValueError
            If the weights differ, whatever they are called and whatever file they are in.
        """
        filled_by = self._remembered()
        known_by = _identity(filled_by)
        if filled_by and filled_by[known_by] != getattr(model, known_by.removeprefix("model_")):
            raise ValueError(
                f"collection {self.collection_name!r} was filled by the model "
                f"{filled_by['model_name']!r} ({filled_by['model_dim']}-d),"
                f" not by {model.name!r} ({model.dim}-d): their vectors cannot be compared. Use "
                "that model, or choose another collection_name"
            )
        return filled_by

    def upsert(self, rows: Sequence[dict]) -> None:
        """Write rows; a row with a known `id` replaces the old one."""
        if not rows:
            return
        self._wrote()
        largest = columns.largest(rows[0], len(rows[0]["vector"]))
        at_once = max(1, _MESSAGE_BYTES // largest)
        for part in batches(rows, at_once):
            with self._explained("written"):
                self.client.upsert(self.collection_name, part)
            self._unflushed += len(part)
            if self._connection.is_file and self._unflushed >= _FLUSH_EVERY:
                self.flush()

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows by their `id`."""
        if not ids:
            return
        self._wrote()
        for part in batches(ids, _KEYS_PER_MESSAGE):
            with self._explained("deleted from"):
                self._loaded().delete(self.collection_name, ids=part)
            self._unflushed += len(part)

    def flush(self) -> None:
        """Seal what was written, so that it is indexed: Lite then searches ten times faster.

        A file is flushed even if this object wrote nothing: a killed process may have.
        """
        if not self._unflushed and not self._connection.is_file:
            return
        with contextlib.suppress(_NotFoundError), self._explained("flushed"):
            self.client.flush(self.collection_name)
            self._unflushed = 0
            self._note(written=uuid.uuid4().hex)  # so others draw their sample again

    def drop(self) -> None:
        """Delete the collection and all its rows; the image files stay.

        Raises
        ------
        ValueError
            If the collection was not made by this project.
        """
        _ = self.properties  # raises if others made it
        with self._explained("dropped"):
            self.client.drop_collection(self.collection_name)
        self._forget()
        self._wrote()

    def rows(
        self,
        fields: Sequence[str],
        limit: int | None = None,
        keys: tuple[str, str] | None = None,
    ) -> Iterator[dict]:
        """Yield the rows, any number of them, each as a dict of the fields asked for.

        Parameters
        ----------
        fields : sequence of str
        limit : int, optional
            At most this many rows.
        keys : (str, str), optional
            Only rows whose `id` is between these two, both included.
        """
        properties = self.properties
        if not properties:
            return
        largest = columns.largest(fields, int(properties["model_dim"]))
        with self._explained("read"):
            batches = self._loaded().query_iterator(
                self.collection_name,
                batch_size=min(_ROWS_PER_BATCH, _BATCH_BYTES // largest),
                limit=-1 if limit is None else limit,
                filter='id >= "{}" and id <= "{}"'.format(*keys) if keys else "",
                output_fields=list(fields),
            )
            try:
                while batch := batches.next():
                    yield from columns.filled(batch, fields)
            finally:
                batches.close()

    def find(self, field: str, values: Collection, fields: Sequence[str]) -> list[dict]:
        """Return the rows whose field has one of these values, each as a dict of `fields`."""
        if not values or not self.properties:
            return []
        rows = []
        for part in batches(values, _KEYS_PER_MESSAGE):
            one_of_these = build_filter({field: part})
            with self._explained("read"):
                rows += self._loaded().query(
                    self.collection_name, one_of_these, output_fields=list(fields)
                )
        return list(columns.filled(rows, fields))

    def get(self, ids: Sequence[str]) -> list[dict]:
        """Return whole rows by their `id`, with their vectors and what others added to them."""
        if not ids:
            return []
        with self._explained("read"):
            return self._loaded().get(self.collection_name, ids=list(ids), output_fields=["*"])

    def labels(self) -> list[str]:
        """Return the labels in order, ten thousand at most; images without one do not count."""
        dim = int(self.properties.get("model_dim", 0))
        if not dim:
            return []
        anywhere = np.full(dim, dim**-0.5, np.float32)
        found = self.search(anywhere, _LABELS, output_fields=["label"], group_by="label")
        return sorted({row["label"] for row in found} - {""})

    def fields(self) -> set[str]:
        """Return the names of the fields, with those that others added to some of the rows."""
        with self._explained("described"):
            described = self.client.describe_collection(self.collection_name)["fields"]
            some = self._loaded().query(self.collection_name, limit=_SAMPLE, output_fields=["*"])
        names = {field["name"] for field in described} | {c.name for c in columns.COLUMNS}
        return names.union(*some)

    def search(
        self,
        vector: np.ndarray,
        limit: int,
        offset: int = 0,
        filter: str = "",
        output_fields: Sequence[str] | None = None,
        group_by: str = "",
        distinct: Callable[[list[dict]], list[dict]] | None = None,
        within: Callable[[Mapping], bool] | None = None,
    ) -> list[dict]:
        """Return the images nearest to a unit vector of shape (dim,), best first.

        On a server, the first search after this object wrote waits until all of it can be seen.
        What others wrote can be seen some seconds later.

        Parameters
        ----------
        vector, limit, offset, filter
        output_fields : sequence of str, optional
            By default those that are `shown`.
        group_by : str
            A field; only the best hit of each of its values is returned.
        distinct : callable, optional
            Takes hits and returns those to keep; more are fetched until enough are kept, or as
            many were seen as Milvus returns.
        within : callable, optional
            Tells of a hit whether it fulfils what no filter can say; see `filters.within`.

        Returns
        -------
        list of dict
            `id`, `score` (cosine) and the output fields; empty if the collection has not been
            made.

        Raises
        ------
        ValueError
            If images cannot be grouped by that field, or Milvus refuses the filter.
        """
        fields = columns.shown() if output_fields is None else list(output_fields)
        if group_by and group_by not in columns.groupable():  # a 2.3.5 server then does not group
            known = ", ".join(columns.groupable())
            raise ValueError(f"images cannot be grouped by {group_by!r}, only by {known}")
        fields = list(dict.fromkeys([*fields, *([group_by] if group_by else [])]))
        if not (group_by or distinct or within):
            return self._search(vector, limit, offset, filter, fields)
        wanted = asked = limit + offset
        self._remembered()
        by_milvus = group_by if group_by in self._grouping and not within else ""
        while True:
            hits = self._search(vector, asked, 0, filter, fields, by_milvus)
            kept = [hit for hit in hits if within(hit)] if within else hits
            # A 2.3.5 server repeats some values if a filter leaves few.
            kept = _best_of_each(kept, group_by) if group_by else kept
            kept = distinct(kept) if distinct else kept
            if len(kept) >= wanted or len(hits) < asked or asked == MAX_LIMIT:
                return kept[offset:wanted]
            asked = min(2 * asked, MAX_LIMIT)

    def _search(
        self,
        vector: np.ndarray,
        limit: int,
        offset: int,
        filter: str,
        fields: list[str],
        group_by: str = "",
    ) -> list[dict]:
        grouping = {"group_by_field": group_by} if group_by else {}
        asked = f"the filter {filter!r}" if filter else ""
        try:
            with self._explained("searched", asked), self._consistency() as level:
                hits = self._loaded().search(
                    self.collection_name,
                    data=[vector],
                    limit=limit,
                    filter=filter,
                    output_fields=fields,
                    search_params={"metric_type": "COSINE", "offset": offset},
                    consistency_level=level,
                    **grouping,
                )[0]
        except _NotFoundError:  # dropped by another process
            return []
        entities = columns.filled((hit["entity"] for hit in hits), fields)
        return [
            {"id": hit["id"], "score": hit["distance"], **entity}
            for hit, entity in zip(hits, entities, strict=True)
        ]

    def close(self) -> None:
        """Close the database, so that another process can open it."""
        self._connection.close()

    def _remembered(self) -> dict[str, str]:
        """Return the `properties`, at most `_FRESH` seconds old."""
        if self._known is None or time.monotonic() - self._known_at >= _FRESH:
            self._look()
        if self._known is None:
            return {}
        if "model_digest" not in self._known:
            raise ValueError(
                f"collection {self.collection_name!r} was not made by this project, so nothing is "
                "known about its vectors: choose another collection_name"
            )
        format = int(self._known.get("format", 0))
        if format not in columns.READABLE:
            raise ValueError(
                f"collection {self.collection_name!r} has rows of format {format}, and this "
                f"version reads up to {columns.READABLE[-1]}: update this project, or choose "
                "another collection_name"
            )
        moved = {"image_dir": str(self._moved_to)} if self._moved_to else {}
        return {name: self._known[name] for name in _REMEMBERED if name in self._known} | moved

    def _look(self) -> None:
        before, self._known = self._known, None
        with contextlib.suppress(_NotFoundError), self._explained("described"):
            told = self.client.describe_collection(self.collection_name)
            self._known = dict(told["properties"])
            self._grouping = {f["name"] for f in told["fields"] if f["type"] != _REAL}
        if (self._known or {}).get("made") != (before or {}).get("made"):  # others made it again
            self._loaded_by = None
        self._known_at = time.monotonic()

    def _note(self, **properties: str) -> None:
        """Write properties of the collection, if this user may: not every role may."""
        with contextlib.suppress(pymilvus.MilvusException):
            self.client.alter_collection_properties(self.collection_name, properties)

    def _forget(self) -> None:
        self._loaded_by, self._known_at = None, -_FRESH

    def _wrote(self) -> None:
        self._behind = True
        self._writes += 1

    @contextlib.contextmanager
    def _consistency(self) -> Iterator[str]:
        """Wait for all writes once, but not again: that takes a server 0.2 to 0.4 seconds."""
        yield "Strong" if self._behind else "Bounded"
        self._behind = False

    def _create(self, model: Encoder, image_dir: Path) -> None:
        properties = {
            "model_name": model.name,
            "model_dim": str(model.dim),
            "model_digest": model.digest,  # for earlier versions
            "model_content": model.content,
            "model": model.model_name,
            "image_dir": str(image_dir),
            "format": str(columns.FORMAT),
            "made": uuid.uuid4().hex,  # tells apart two of the same name; Lite's ids do not
        }
        with self._explained("made"):
            self.client.create_collection(
                self.collection_name,
                schema=columns.schema(model.dim),
                properties=properties,
                consistency_level="Strong",  # or a server's first search misses new rows
            )
            self._forget()
            self._loaded()

    def _loaded(self) -> pymilvus.MilvusClient:
        """Load the collection once per connection: a new process finds it 'released'."""
        client = self.client
        if self._loaded_by is not client:
            if not client.list_indexes(self.collection_name):  # just made, or by a killed process
                self._make_index(client)
            client.load_collection(self.collection_name)
            self._loaded_by = client
        return client

    def _make_index(self, client: pymilvus.MilvusClient) -> None:
        # Exact search. With approximate indexes a filtered search lost hits: Lite's graph found 1
        # of 10 on average, a server's AUTOINDEX on 1,000 rows none for a third of the labels.
        # Zilliz Cloud offers only AUTOINDEX.
        index_type = "AUTOINDEX" if "zilliz" in self._connection.host else "FLAT"
        index = client.prepare_index_params()
        index.add_index("vector", index_type=index_type, metric_type="COSINE")
        # sync=False: otherwise pymilvus waits half a second before it first checks the progress
        client.create_index(self.collection_name, index, sync=False)

    @contextlib.contextmanager
    def _explained(self, done: str, asked: str = "") -> Iterator[None]:
        """Turn Milvus's exceptions into one clear error."""
        try:
            yield
        except (pymilvus.MilvusException, grpc.RpcError) as error:
            self._forget()  # a restarted server may have released it
            if getattr(error, "code", None) == _NOT_FOUND:
                raise _NotFoundError from None
            if asked and isinstance(error, pymilvus.MilvusException) and self._answers():
                raise ValueError(f"Milvus refused {asked}: {_why(error.message)}") from None
            what = f"collection {self.collection_name!r} could not be {done}"
            raise self._connection.explained(error, what) from None

    def _answers(self) -> bool:
        try:
            return self.client.has_collection(self.collection_name)
        except (pymilvus.MilvusException, grpc.RpcError, OSError):
            return False


def _identity(*known: Mapping[str, str]) -> str:
    """Return the property that tells models apart: collections from before know the file alone."""
    return "model_content" if all("model_content" in each for each in known) else "model_digest"


def _why(message: str) -> str:
    if "unsupported pattern" in message:
        return "this server knows only patterns with one * at the end; Milvus 2.4 knows all"
    return message


def _best_of_each(hits: list[dict], field: str) -> list[dict]:
    """Keep the first hit of each value of a field."""
    best: dict[object, dict] = {}
    for hit in hits:
        best.setdefault(hit[field], hit)
    return list(best.values())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
