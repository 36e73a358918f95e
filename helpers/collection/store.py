"""`ImageStore`: a Milvus collection of images.

Not about where vectors come from (`encoder`) or how questions are asked (`retrieval`).
"""

import json
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..batches import batches
from ..encoding import Encoder
from ..images.facts import or_else
from ..images.files import list_images, look_at
from ..images.pictures import content_digest
from ..settings import resolve_path
from . import columns
from .connection import Connection, grpc, pymilvus, read_error
from .filters import build_filter

MAX_LIMIT = 16_384  # Milvus's own; above it Lite silently returns fewer hits
_SENT, _READ, _READ_WITH_VECTORS = 1000, 10_000, 4000  # rows; a server refuses messages of 64 MB
_ANSWER, _FACTS = 1 << 24, 1 << 10  # bytes of an answer at most, and of a row without its vector
_FLUSH_EVERY = 10_000  # rows in a local file: opening one after a kill replays what is not flushed
_LABELS = 10_000
_SAMPLE = 100  # rows, where a few are enough to know the others
_OPENED = 64  # files at most, to tell by their contents what a folder holds
_COMPARED = 100, 1000  # rows at first, and at most, if Milvus cannot say which suit best
_FRESH = 4.0  # seconds that a search may rely on what it knows about the collection
_NOT_FOUND = 100  # Milvus's code
_REAL, _VECTOR = pymilvus.DataType.DOUBLE, pymilvus.DataType.FLOAT_VECTOR


class _NotFoundError(ConnectionError):
    """The collection does not exist, or no longer exists."""


class ImageStore(AbstractContextManager["ImageStore"]):
    """A Milvus collection of images, in a local file or on a server.

    The first `ingest` makes the collection. `columns` lists the fields of a row; more may be added
    (dynamic field). A collection that others made can be searched if each row has a `vector`,
    compared by COSINE, and a `filepath`; see `made_here`.

    Parameters
    ----------
    uri : str or path
        A path (Milvus Lite), or `http(s)://host:port` (a server or Zilliz Cloud, with the token
        in the environment variable `MILVUS_TOKEN`).
    collection_name : str
    image_dir : path, optional
        Where the images are now, if the folder has moved since they were ingested. What `filepath`
        counts from in a collection that others made: by default the working directory.

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
        self.shown_uri = self._connection.shown_uri  # without a password
        self._loaded_by: pymilvus.MilvusClient | None = None
        self._known: dict[str, str] = {}  # the collection's properties, if there is one
        self._grouping: set[str] = set()  # fields that Milvus can group by: not dynamic, not real
        self._known_at = -_FRESH
        self._unflushed = self._writes = 0  # rows, and how often this object wrote
        self._waited_for = -1  # so many of these writes can be seen
        self._sample: tuple[object, np.ndarray] | None = None

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ImageStore({self.shown_uri!r}, {self.collection_name!r})"

    @property
    def client(self) -> pymilvus.MilvusClient:
        """The MilvusClient itself, for everything this class does not do."""
        return self._connection.client

    @property
    def image_dir(self) -> Path | None:
        """The folder that `filepath` counts from; None before the first ingestion."""
        folder = self._moved_to or self._remembered(0).get("image_dir")
        return Path(folder) if folder else None

    @property
    def made_here(self) -> bool:
        """Whether this project made the collection, or nobody has yet.

        Of what others made only `filepath` and `vector` are read, and nothing is changed.
        """
        return "made_by" not in self._remembered(float("inf"))  # that does not change by itself

    @property
    def properties(self) -> dict[str, str]:
        """What the collection remembers: model_name, model_dim, image_dir, format and others.

        `model` opens the model again; `model_content` and, in older collections, `model_digest`
        tell whether it is the same. Empty before the first ingestion. ValueError if the collection
        was made by others.
        """
        known = self._remembered(0)
        if not self.made_here:
            raise ValueError(
                f"collection {self.collection_name!r} was not made by this project: name the model "
                "that filled it as model_name to search it, or choose another collection_name to "
                "ingest. If nobody needs it, Milvus's own client, MilvusClient, deletes it"
            )
        return known

    @property
    def calibration(self) -> dict[str, Any]:
        """Where matches begin here, as `helpers.calibrate` measured it; empty if nobody did."""
        return json.loads(self._remembered().get("calibration", "{}"))

    def keep_calibration(self, calibration: Mapping[str, Any]) -> None:
        """Keep with the collection where matches begin in it.

        Raises
        ------
        OSError
            If it cannot be kept: not every user of a server may change a collection.
        """
        self._keep(calibration=json.dumps(dict(calibration)))

    @property
    def way(self) -> dict[str, Any]:
        """How texts are best asked for here, as `helpers.tune` found; empty if as they are.

        What cannot be read is a way as well, which nobody knows.
        """
        kept = self._remembered().get("way", "{}")
        with suppress(ValueError, TypeError):
            return dict(json.loads(kept))
        return {"unread": kept}

    def keep_way(self, way: Mapping[str, Any], calibration: Mapping[str, Any]) -> None:
        """Keep how texts are best asked for here, and where matches begin if one asks so.

        Raises
        ------
        OSError
            If it cannot be kept: not every user of a server may change a collection.
        """
        self._keep(way=json.dumps(dict(way)), calibration=json.dumps(dict(calibration)))

    def count(self, filter: str = "") -> int:
        """Return the number of images that a filter lets through; 0 if there is no collection."""
        counted = self._ask(filter, ["count(*)"], done="counted")
        return counted[0]["count(*)"] if counted else 0

    def sample(self, size: int) -> np.ndarray:
        """Return the vectors of images drawn at random, the same ones every time.

        The sample is kept until this object writes again, or until some seconds after another one
        wrote and flushed.

        Returns
        -------
        ndarray of float32, shape (n, dim)
            About as many as asked for and never more, or all if there are fewer. None of a
            collection that others made, whose keys are not drawn at random.
        """
        known = self._remembered()
        state = size, self._writes, known.get("made"), known.get("written")
        if self._sample is None or self._sample[0] != state:
            # Keys are digests, so they are random: those below a bound are a fair sample.
            bound = min(int(1.1 * size / max(1, self.count()) * 16**8), 16**8 - 1)
            low = f'id <= "{bound:08x}g"'
            rows = self._ask(low, ["vector"], limit=size) if self.made_here else []
            self._sample = state, np.array([row["vector"] for row in rows], np.float32)
        return self._sample[1]

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
            with suppress(OSError):  # not every role may
                self._keep(format=str(columns.FORMAT), model_content=model.content)

    def holds(self, image_dir: Path) -> bool:
        """Return whether most of a sample of the images are in a folder, by any names."""
        if self.image_dir == image_dir:
            return True
        known = list(self.rows(["filepath", "size", "mtime", "digest"], limit=_SAMPLE))
        sizes = (or_else(-1, partial(os.path.getsize, image_dir / r["filepath"])) for r in known)
        named = sum(size == row["size"] for row, size in zip(known, sizes, strict=True))
        return named > len(known) / 2 or not known or _has_contents(image_dir, known)

    def follow(self, image_dir: Path) -> bool:
        """Take a folder as the place of the images, if it `holds` them.

        The collection remembers it, where the server permits that.
        """
        held = self.holds(image_dir)
        if held and self.image_dir != image_dir:
            self._moved_to = image_dir
            with suppress(OSError):
                self._keep(image_dir=str(image_dir))
        return held

    def check_model(self, model: Encoder) -> dict[str, str]:
        """Refuse a model that did not fill this collection: its scores would mean nothing.

        Returns
        -------
        dict
            The collection's properties; empty before the first ingestion.

        Raises
        ------
        ValueError
            If the weights differ, whatever they are called and whatever file they are in. If others
            made the collection: if the length of the vectors does.
        """
        filled_by = self._remembered()
        same = filled_by.get("model_content") == model.content  # older ones know the file alone
        same = same or filled_by.get("model_digest", model.digest) == model.digest
        if filled_by and not (same and filled_by["model_dim"] == str(model.dim)):
            raise ValueError(
                f"collection {self.collection_name!r} was filled by the model "
                f"{filled_by['model_name']!r} ({filled_by['model_dim']}-d),"
                f" not by {model.name!r} ({model.dim}-d): their vectors cannot be compared. Use "
                "that model, or choose another collection_name"
            )
        return filled_by

    def upsert(self, rows: Sequence[dict]) -> None:
        """Write rows; a row with a known `id` replaces the old one."""
        self._write("written", "upsert", rows)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove rows by their `id`."""
        self._write("deleted from", "delete", ids)

    def _write(self, done: str, method: str, items: Sequence) -> None:
        for part in batches(items, _SENT):
            self._writes += 1
            with self._explained(done):
                getattr(self._loaded(), method)(self.collection_name, part)
            self._unflushed += len(part)
            if self._connection.is_file and self._unflushed >= _FLUSH_EVERY:
                self.flush()

    def flush(self) -> None:
        """Seal what was written, so that it is indexed: Lite then searches ten times faster.

        A file is flushed even if this object wrote nothing: a killed process may have.
        """
        if not self._unflushed and not self._connection.is_file:
            return
        with suppress(_NotFoundError), self._explained("flushed"):
            self.client.flush(self.collection_name)
            self._unflushed = 0
        with suppress(OSError):
            self._keep(written=uuid.uuid4().hex)  # so others draw their sample again

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

    def rows(
        self, fields: Sequence[str], limit: int | None = None, filter: str = ""
    ) -> Iterator[dict]:
        """Yield the rows, any number of them, each as a dict of the fields asked for.

        Parameters
        ----------
        fields : sequence of str
        limit : int, optional
            At most this many rows.
        filter : str
            Only rows that it lets through.
        """
        self._remembered(0)
        with suppress(_NotFoundError), self._explained("read"):
            found = self._loaded().query_iterator(
                self.collection_name,
                batch_size=_READ_WITH_VECTORS if "vector" in fields else _READ,
                limit=-1 if limit is None else limit,
                filter=filter,
                output_fields=self._readable(fields),
            )
            with closing(found):
                while batch := found.next():
                    yield from columns.filled(batch, fields)

    def find(self, field: str, values: Collection, fields: Sequence[str]) -> list[dict]:
        """Return the rows whose field has one of these values, each as a dict of `fields`."""
        parts = batches(values, _SENT) if self.made_here else []
        found = [row for part in parts for row in self._ask(build_filter({field: part}), fields)]
        return found if "*" in fields else list(columns.filled(found, fields))

    def get(self, ids: Sequence[str]) -> list[dict]:
        """Return whole rows by their `id`, with their vectors and what others added to them."""
        return self.find("id", ids, ["*"])

    def _ask(
        self, filter: str, fields: Iterable[str], method: str = "query", done: str = "read", **more
    ) -> list[Any]:
        """Return what Milvus finds; nothing if there is no collection, or no longer.

        It waits for all writes once, but not again: that takes a server 0.2 to 0.4 seconds.
        """
        writes, asked = self._writes, f"the filter {filter!r}" if method == "search" else ""
        more["consistency_level"] = "Bounded" if self._waited_for == writes else "Strong"
        more |= {"filter": filter, "output_fields": list(fields)}
        with suppress(_NotFoundError), self._explained(done, asked if filter else ""):
            found = getattr(self._loaded(), method)(self.collection_name, **more)
            self._waited_for = writes
            return found
        return []

    def labels(self) -> list[str]:
        """Return the labels in order, ten thousand at most; images without one do not count.

        Unless they are very many, they are kept with the collection until something is written and
        flushed, or the number of images differs: to read those of 100,000 images takes a local file
        seconds.
        """
        if not self.made_here:
            return []
        known = self.properties
        state = f"{known.get('written')} {self.count()} {self._unflushed}"
        kept = json.loads(known.get("labels", "{}"))
        if kept.get("state") != state:
            anywhere = np.ones(int(known.get("model_dim", 1)), np.float32)
            found = self.search(anywhere, _LABELS, output_fields=["label"], group_by="label")
            kept = {"state": state, "labels": sorted({row["label"] for row in found} - {""})}
            with suppress(OSError):  # not every role may
                if len(text := json.dumps(kept)) < 2**18:  # or a server can no longer delete it
                    self._keep(labels=text)
        return kept["labels"]

    def fields(self) -> set[str]:
        """Return the names of the fields, with those that others added to some of the rows."""
        return {each.name for each in columns.COLUMNS}.union(*self._ask("", ["*"], limit=_SAMPLE))

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
        decide: Callable[[list[dict], int], list[dict]] | None = None,
    ) -> list[dict]:
        """Return the images nearest to a unit vector of shape (dim,), best first.

        On a server, the first search after this object wrote waits until all of it can be seen.
        What others wrote can be seen some seconds later.

        Parameters
        ----------
        vector : ndarray, shape (dim,) or (n, dim)
            Several need `decide`, which gets the hits of all.
        limit, offset, filter
        output_fields : sequence of str, optional
            By default those that are `shown`.
        group_by : str
            A field; only the best hit of each of its values is returned.
        distinct : callable, optional
            Takes hits and returns those to keep; more are fetched until enough are kept, or as
            many were seen as Milvus returns.
        within : callable, optional
            Tells of a hit whether it fulfils what no filter can say; see `filters.Where`.
        decide : callable, optional
            Takes the hits nearest to each vector, and how many there were asked for; returns the
            hits in another order, each with a `note` if others may come before it that were not
            among these. These are four times as many as are wanted. Only if some that are wanted
            have such a note, or too few are left, a thousand are fetched, or all; and no more.

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
        if group_by and not columns.named(group_by):  # a 2.3.5 server then does not group
            known = ", ".join(column.name for column in columns.COLUMNS)
            raise ValueError(f"images cannot be grouped by {group_by!r}, only by {known}")
        fields = columns.shown() if output_fields is None else list(output_fields)
        grouped = self.made_here and group_by in self._grouping and not within and not decide
        more = {"data": np.atleast_2d(vector)} | ({"group_by_field": group_by} if grouped else {})
        first = 0 if group_by or distinct or within or decide else offset
        wanted = asked = offset - first + limit
        most = MAX_LIMIT
        if decide:
            asked, most = (min(max(4 * wanted, least), most) for least in _COMPARED)
        while True:
            hits = self._search(filter, [*fields, group_by], asked, first, **more)
            hits = decide(hits, asked) if decide else hits
            kept = [hit for hit in hits if within(hit)] if within else hits
            # A 2.3.5 server repeats some values if a filter leaves few.
            kept = _best_of_each(kept, group_by) if group_by else kept
            kept = distinct(kept) if distinct else kept
            sure = len(kept) >= wanted and not kept[wanted - 1].get("note")
            if sure or len(hits) < asked or asked == most:
                return kept[offset - first : wanted]
            asked = most if decide else min(2 * asked, most)

    def _search(
        self, filter: str, fields: Sequence[str], limit: int, offset: int, **more: Any
    ) -> list[dict]:
        fields = list(dict.fromkeys(field for field in fields if field))
        asked = self._readable(fields)
        data = more["data"]
        row = len(data) * _FACTS + 4 * data.size * ("vector" in fields)
        step = limit if "group_by_field" in more else max(1, _ANSWER // row)
        hits: list[dict] = []
        for start in range(offset, offset + limit, step):
            size = min(step, offset + limit - start)
            more["search_params"] = {"metric_type": "COSINE", "offset": start}
            found = self._ask(filter, asked, "search", "searched", limit=size, **more)
            hits += ({"id": h.id, "score": h["distance"], **h["entity"]} for h in chain(*found))
            if max(map(len, found), default=0) < size:
                break
        if not self.made_here and not all(isinstance(hit.get("filepath"), str) for hit in hits):
            raise ValueError(f"not all rows of collection {self.collection_name!r} have a filepath")
        once = {hit["id"]: hit for hit in hits}.values()
        return list(columns.filled(once, ["id", "score", *fields]))

    def _readable(self, fields: Sequence[str]) -> list[str]:
        return [name for name in fields if self.made_here or name in ("filepath", "vector")]

    def close(self) -> None:
        """Close the database, so that another process can open it."""
        self._connection.close()

    def _remembered(self, fresh: float = _FRESH) -> dict[str, str]:
        """Return the `properties`, younger than so many seconds."""
        if not self._known or time.monotonic() - self._known_at >= fresh:
            self._look()
        return self._known

    def _look(self) -> None:
        """Read the properties, and check that the collection is one that can be read here."""
        made, self._known = self._known.get("made"), {}
        with suppress(_NotFoundError), self._explained("described"):
            told = self.client.describe_collection(self.collection_name)
            known = dict(told["properties"])
            known = known if "model_digest" in known else self._of_others(told["fields"])
            self._grouping = {f["name"] for f in told["fields"] if f["type"] != _REAL}
            if (format := int(known.get("format", 0))) > columns.FORMAT:
                raise ValueError(
                    f"collection {self.collection_name!r} has rows of format {format}, and this "
                    f"version reads up to {columns.FORMAT}: update this project, or choose "
                    "another collection_name"
                )
            self._known = known | ({"image_dir": str(self._moved_to)} if self._moved_to else {})
        if self._known.get("made") != made:  # others made it again
            self._loaded_by = None
        self._known_at = time.monotonic()

    def _of_others(self, fields: Iterable[Mapping]) -> dict[str, str]:
        """Return what can be known of a collection that others made; ValueError if too little."""
        name = self.collection_name
        dims = [f["params"]["dim"] for f in fields if (f["name"], f["type"]) == ("vector", _VECTOR)]
        indexes = self.client.list_indexes(name, field_name="vector")
        metrics = {self.client.describe_index(name, each)["metric_type"] for each in indexes}
        if not dims or metrics - {"COSINE"}:
            raise ValueError(
                f"collection {name!r} was not made by this project, nor can it be searched: it "
                "has no `vector` of float32 with the metric COSINE. Choose another collection_name"
            )
        known = {"made_by": "others", "model_name": "unknown", "model_dim": str(dims[0])}
        return known | {"image_dir": os.getcwd()}

    def _keep(self, **properties: str) -> None:
        with self._explained("changed"):
            self.client.alter_collection_properties(self.collection_name, properties)
        self._known_at = -_FRESH

    def _forget(self) -> None:
        self._loaded_by, self._known_at = None, -_FRESH

    def _create(self, model: Encoder, image_dir: Path) -> None:
        parts = ("name", "dim", "digest", "content")  # the digest is for earlier versions
        properties = {f"model_{part}": str(getattr(model, part)) for part in parts} | {
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

    @contextmanager
    def _explained(self, done: str, asked: str = "") -> Iterator[None]:
        """Turn Milvus's exceptions into one clear error."""
        try:
            yield
        except (pymilvus.MilvusException, grpc.RpcError) as error:
            self._forget()  # a restarted server may have released it
            if getattr(error, "code", None) == _NOT_FOUND:
                raise _NotFoundError from None
            status, said = read_error(error)
            if asked and not status:
                raise ValueError(f"Milvus refused {asked}: {_why(said)}") from None
            what = f"collection {self.collection_name!r} could not be {done}"
            raise self._connection.explained(error, what) from None


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


def _has_contents(folder: Path, rows: list[dict]) -> bool:
    """Return whether most of these images are in a folder by their contents, whatever their names.

    Of its files only some that have the size of an image are read, those with its time first.
    """
    known = [row for row in rows if row["digest"]][: _OPENED // 2]
    sizes, times, digests = ({row[n] for row in known} for n in ("size", "mtime", "digest"))
    paths = or_else([], lambda: list_images(folder))
    files = filter(None, (or_else(None, partial(look_at, path, folder)) for path in paths))
    alike = [file for file in files if file.facts["size"] in sizes]
    alike.sort(key=lambda file: file.facts["mtime"] not in times)
    found = {or_else("", partial(content_digest, file)) for file in alike[:_OPENED]}
    return 2 * len(found & digests) > len(digests)
