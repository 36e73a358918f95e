"""`ingest`: from a folder of images to a collection, resumable, with a report.

A file is known by its content: one that moved, or was renamed, touched or copied keeps its vector.
"""

import contextlib
import html
import os
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd
from tqdm.auto import tqdm

from .batches import map_batches
from .collection.columns import FORMAT, by_digest, image_id, key_range, row, unchanged, with_facts
from .collection.filters import build_filter
from .collection.store import ImageStore
from .encoding import Encoded, Encoder
from .images.facts import or_else
from .images.files import ImageFile, LeftOut, lies_in_leftovers, look_at, survey
from .images.pictures import content_digest
from .settings import YesNoAll, check_flags, check_whole, resolve_path

_Digested = tuple[ImageFile, str]  # with the digest of its content
_Places = dict[str, list[dict]]  # the rows of each content

_KNOWN = ["id", "filepath", "size", "mtime", "stamp", "digest", "moved_from", "format"]
_READ_AHEAD = 500  # files whose content is read before their rows are written
_MANY = 10  # rows: fewer than this are removed without asking, unless they are a whole folder
_LISTED = 20  # skipped files, of which the first and the last are shown
_INTERRUPTED = "Interrupted. What was written is kept. Run it again to continue."


@dataclass(repr=False)
class IngestReport:
    """What an ingestion did; a notebook shows it as a table.

    `found` images were considered. The `inserted` and the `updated` (the content changed) are new
    to the collection and were encoded, unless they are copies of another image. The `unchanged`
    and the `moved` (known by their content at a place where they no longer are) were not.
    `skipped` lists (filepath, reason) of files that could not be read, and says what became of
    their rows. `removed` counts the rows of files that are gone, if they were pruned, and of those
    whose picture was overwritten by what is none. `left_out` lists what was not considered, though
    it may be yours.
    `note` says what to do if the collection outgrew its calibration (see `helpers.calibrate`), or
    if rows of an earlier version lack facts.
    `seconds` is the wall time. If the run was `interrupted`, what is counted is stored, and the
    next run does the rest.
    """

    found: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    moved: int = 0
    removed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False
    note: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the counts as a table of one row."""
        left_out = sum(each.number for each in self.left_out)
        counts = vars(self) | {"skipped": len(self.skipped), "left_out": left_out}
        del counts["note"]
        return pd.DataFrame([counts | {"seconds": round(self.seconds, 1)}])

    def _tables(self) -> list[pd.DataFrame]:
        """Return the counts, what was skipped and what was left out, without empty tables."""
        tables = [
            self.to_frame().drop(columns="interrupted"),
            pd.DataFrame(self.skipped, columns=["skipped", "reason"]),
            pd.DataFrame(self.left_out, columns=["left out", "number", "example", "what to do"]),
        ]
        return [table for table in tables if len(table)]

    def _words(self) -> list[str]:
        return [words for words in (_INTERRUPTED * self.interrupted, self.note) if words]

    def _repr_html_(self) -> str:
        tables = [t.to_html(index=False, max_rows=_LISTED, justify="left") for t in self._tables()]
        return "".join([*tables, *(f"<p><b>{html.escape(words)}</b>" for words in self._words())])

    def __repr__(self) -> str:
        texts = [t.to_string(index=False, max_rows=_LISTED) for t in self._tables()]
        return "\n".join([*texts, *self._words()])


def ingest(
    image_dir: str | os.PathLike,
    encoder: Encoder,
    store: ImageStore,
    *,
    recreate: bool = False,
    prune: YesNoAll = False,
    limit: int | None = None,
    shard: tuple[int, int] = (0, 1),
    batch_size: int | None = None,
    progress: bool = True,
) -> IngestReport:
    """Encode the images below a folder and store them; return a report.

    The next run reads only files that are new or may have changed (by size, time, inode and the
    time of that, see `look_at`), so it continues where the last one stopped. A file whose content
    is known keeps its vector: if it is no longer at the place where it was, its row moves along. A
    file that cannot be read is skipped and reported. Its row stays, unless the file was read and
    holds something else now: a photo that is only half copied comes back when it is whole. An
    interrupt (Ctrl-C, or Jupyter's stop button) ends the run early, and the report says so.

    Parameters
    ----------
    image_dir : path
        The folder; an image is identified by its path below it.
    encoder, store
    recreate : bool
        Drop the collection first, unless the folder holds no image.
    prune : bool or "all"
        Remove the rows of files that are gone. True refuses to where a disk may not be mounted: if
        a whole folder of images is empty or missing, or if more than a fifth of the rows would go,
        and at least ten. "all" removes them.
    limit : int, optional
        Take at most this many images, the first ones in the order of their paths.
    shard : (int, int)
        (i, n): take part i, from 0 to n - 1, of n disjoint parts. An image stays in its part when
        the folder grows.
    batch_size : int, optional
        Images per forward pass and per write. More take more memory, and a kill can lose more.
    progress : bool
        Show a progress bar.

    Raises
    ------
    OSError
        If the folder cannot be read.
    ValueError, TypeError
        If another model or folder filled the collection, an argument makes no sense, or `prune`
        refuses. Then nothing is removed.
    ConnectionError
        If Milvus fails; what it acknowledged is kept.
    """
    started = time.perf_counter()
    folder = resolve_path(image_dir)
    surveyed = survey(folder)
    check_flags(recreate=recreate, prune=prune == "all" or prune, progress=progress)
    check_whole(1, limit=limit, batch_size=batch_size)
    _check(surveyed.images, recreate, prune, limit, shard)
    if recreate:
        store.drop()
    store.open_for(encoder, folder)

    report = IngestReport(left_out=surveyed.left_out)
    rows: dict[str, dict] = {}
    try:
        keys = key_range(*shard)
        stored = store.rows(_KNOWN, filter=build_filter({"id": keys}) if shard[1] > 1 else "")
        rows |= {found["id"]: found for found in stored}
        files = dict(_select(surveyed.images, folder, keys, limit, report))
        changed = [file for key, file in files.items() if not _is_done(rows.get(key), file)]
        report.unchanged = len(files) - len(changed)
        if shard[1] > 1:  # a photo may have moved from one shard to another
            sizes = {rows[key]["size"] for key in rows.keys() - files.keys()}
            sizes.update(file.facts["size"] for file in changed)
            rows |= {found["id"]: found for found in store.find("size", sizes, _KNOWN)}
        gone = _gone(rows.values(), folder, set(surveyed.images), files.values())
        hidden = not progress or not changed
        with tqdm(total=len(changed), unit="image", desc="ingesting", disable=hidden) as bar:
            run = _Run(encoder, store, batch_size, rows, gone, report, bar)
            run.finish_moves()
            unknown = run.keep_vectors(changed)
            if prune is True:
                _check_gone(gone.values(), rows, surveyed.images, folder)
            run.encode([alike.pop(0) for alike in unknown.values()], unknown)
            # as unreadable as those that they are copies of, as a rule
            run.encode([file for alike in unknown.values() for file in alike], {})
        leaving = [*run.overwritten, *(gone if prune else ())]
        store.delete(leaving)
        report.removed = len(leaving)
        report.skipped = [(name, reason + run.fate(name)) for name, reason in report.skipped]
    except KeyboardInterrupt:
        report.interrupted = True
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to report
            store.flush()
        raise
    store.flush()
    report.note = _note(store, rows.values())
    report.seconds = time.perf_counter() - started
    return report


def _note(store: ImageStore, rows: Iterable[dict]) -> str:
    """Return what to do if rows lack facts, or if the collection outgrew its calibration."""
    notes = []
    if older := sum(row["format"] < FORMAT for row in rows):
        notes.append(
            f"{older:,} rows are of an earlier version, which missed some dates, cameras and "
            "places and misread others: ingest into another collection_name to read them"
        )
    before = store.calibration.get("images")
    if before and not before / 2 < (now := store.count()) < 2 * before:
        notes.append(
            f"Where matches begin was measured with {before:,} images, and there are {now:,} now: "
            "run 07_no_match again"
        )
    return ". ".join(notes)


def _check(
    images: list[Path], recreate: bool, prune: YesNoAll, limit: int | None, shard: tuple[int, int]
) -> None:
    if not 0 <= shard[0] < shard[1]:
        raise ValueError(f"shard {shard!r} should be (i, n) with 0 <= i < n")
    if prune and (limit is not None or shard[1] > 1):
        raise ValueError("prune needs to see all images: leave out limit and shard")
    if prune is True and not images:
        raise ValueError(
            "prune would remove every row: the folder holds no image. Is it mounted? If you mean "
            'it, prune="all" removes them'
        )
    if recreate and not images:
        raise ValueError("nothing would be left: the folder holds no image. Is its disk mounted?")


def _check_gone(
    gone: Collection[dict], rows: Mapping[str, dict], images: Iterable[Path], folder: Path
) -> None:
    """Refuse to remove what is gone only because a disk is not mounted, as it seems."""
    there = {parent for image in images for parent in image.relative_to(folder).parents}
    before, lost = (
        Counter(PurePosixPath(row["filepath"]).parent for row in some)
        for some in (rows.values(), gone)
    )
    whole = {p: n for p, n in lost.items() if n == before[p] and p not in there}
    if not whole and (len(gone) < _MANY or 5 * len(gone) <= len(rows)):
        return
    why = "that is more than a fifth"
    if whole:
        shown = ", ".join(f"{parent} ({number})" for parent, number in sorted(whole.items())[:3])
        more = f" and {len(whole) - 3} more" if len(whole) > 3 else ""
        why = f"these folders are empty or missing: {shown}{more}"
    raise ValueError(
        f"prune would remove {len(gone)} of {len(rows)} images: {why}. Nothing was removed. Is a "
        'disk not mounted? If the files were deleted on purpose, prune="all" removes their rows'
    )


def _select(
    images: list[Path], folder: Path, keys: tuple[str, str], limit: int | None, report: IngestReport
) -> Iterator[tuple[str, ImageFile]]:
    """Yield this shard's files with their keys; report those that cannot be looked at."""
    for path in images:
        if report.found == limit:
            return
        filepath = path.relative_to(folder).as_posix()
        try:
            key = image_id(filepath)
            if keys[0] <= key <= keys[1]:
                report.found += 1
                yield key, look_at(path, folder)
        except UnicodeEncodeError:
            report.found += 1
            shown = os.fsencode(filepath).decode("utf-8", "replace")
            report.skipped.append((shown, "the name is not UTF-8: rename the file"))
        except OSError as error:
            report.skipped.append((filepath, error.strerror or str(error)))


def _gone(
    rows: Iterable[dict], folder: Path, listed: Set[Path], files: Iterable[ImageFile]
) -> dict[str, dict]:
    """Return the rows whose files are gone; in a folder that cannot be read they may be there."""
    identities = {file.identity for file in files}

    def is_gone(filepath: str) -> bool:
        if folder / filepath in listed:
            return False
        try:
            status = (folder / filepath).stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        # It is there, but known by its real path, or by another spelling where that is the same.
        return (status.st_dev, status.st_ino) in identities or lies_in_leftovers(filepath)

    return {row["id"]: row for row in rows if is_gone(row["filepath"])}


def _is_done(row: Mapping | None, file: ImageFile) -> bool:
    """Return whether nothing is to be done for a file.

    A row of before gets a stamp; not without a digest, as then nothing tells what changed.
    """
    return bool(row and (row["stamp"] or not row["digest"])) and unchanged(row, file.facts)


def _key(file: ImageFile) -> str:
    return image_id(str(file.facts["filepath"]))


@dataclass
class _Run:
    """An ingestion under way.

    `rows` are those of its files, and at least those that may have the content of its files.
    `gone` are those of them whose files are gone, and did not move. Each is known by its key.
    `overwritten` are the keys of those whose files were read and hold no picture any more.
    """

    encoder: Encoder
    store: ImageStore
    batch_size: int | None
    rows: dict[str, dict]
    gone: dict[str, dict]
    report: IngestReport
    bar: tqdm
    overwritten: set[str] = field(default_factory=set)

    def finish_moves(self) -> None:
        """Remove the rows that a killed run left after it wrote those that replace them."""
        moved = {(row["moved_from"], row["digest"]) for row in self.rows.values()}
        left = [key for key, row in self.gone.items() if (key, row["digest"]) in moved]
        self.store.delete(left)
        for key in left:
            del self.gone[key], self.rows[key]

    def keep_vectors(self, files: list[ImageFile]) -> dict[str, list[ImageFile]]:
        """Write the rows of files whose content is known; return the others by their content."""
        places = by_digest(self.rows.values())
        unknown = defaultdict(list)
        with contextlib.closing(_with_digests(files, self.rows)) as batches:
            for batch in batches:
                for file, digest in self._write_known(batch, places):
                    unknown[digest or str(file.path)].append(file)
        return unknown

    def _write_known(self, batch: list[_Digested], places: _Places) -> list[_Digested]:
        """Write the rows of files whose content is known, and return the other files."""
        known = {_key(file): digest for file, digest in batch if digest in places}
        sources = known.keys() | {places[digest][-1]["id"] for digest in known.values()}
        # A row may have been written since: if files changed places.
        stored = by_digest(self.store.get(list(sources)))
        rows = [self._known(file, stored[d], places[d]) for file, d in batch if d in stored]
        self._write(rows)
        self.bar.update(len(rows))
        return [(file, digest) for file, digest in batch if digest not in stored]

    def _known(self, file: ImageFile, stored: list[dict], alike: list[dict]) -> dict:
        """Return the row of a file with a known content, which takes the place of a gone one.

        It is made from its own row if that is stored: others may have added to it, not to a copy's.
        """
        key = _key(file)
        touched = key in {row["id"] for row in alike}
        left = "" if touched else next((r["id"] for r in alike if r["id"] in self.gone), "")
        self.gone.pop(left, None)
        alike[:] = [row for row in alike if row["id"] not in (left, key)] + [{"id": key}]
        source = next((row for row in stored if row["id"] == key), stored[0])
        return with_facts(source, {**file.facts, "moved_from": left})

    def encode(self, files: list[ImageFile], copies: dict[str, list[ImageFile]]) -> None:
        """Encode files; write their rows and those of their copies, which are taken out."""
        stream = self.encoder.encode_stream(files, self.batch_size)
        with contextlib.closing(stream), ThreadPoolExecutor(1) as writer:
            pending = writer.submit(lambda: None)
            for batch in stream:
                rows = self._new(batch, copies)
                pending.result()
                pending = writer.submit(self._write, rows)  # while the next batch is encoded
            pending.result()

    def _new(self, batch: list[Encoded], copies: dict[str, list[ImageFile]]) -> list[dict]:
        """Return the rows of what was encoded; what cannot be read goes into the report."""
        rows = []
        for file, facts, vector, error in batch:
            if error:
                reason = error.strerror or str(error).removeprefix(f"{file.path}: ")
                self.report.skipped.append((file.facts["filepath"], reason))
                self._look_into(file)
                continue
            alike = [file, *copies.pop(str(facts.get("digest")), [])]
            rows += [row({**each.facts, **facts}, vector) for each in alike]
        self.bar.set_postfix(skipped=len(self.report.skipped), refresh=False)
        self.bar.update(len(rows) + sum(each.error is not None for each in batch))
        return rows

    def _look_into(self, file: ImageFile) -> None:
        """Note whether a file that is no picture can be read, and is not what its row shows.

        An empty one tells nothing: full disks, and drives that keep photos elsewhere, leave such.
        """
        row = self.rows.get(_key(file)) if file.facts["size"] else None
        if row and or_else("", lambda: content_digest(file)) not in ("", row["digest"]):
            self.overwritten.add(row["id"])

    def fate(self, filepath: str) -> str:
        """Return what became of the row of a file that was skipped."""
        if (key := image_id(filepath)) in self.overwritten:
            return "; what it showed before is no longer found"
        return "; it is still found by what it showed before" if key in self.rows else ""

    def _write(self, rows: list[dict]) -> None:
        """Write rows, remove those that they replace, and count what Milvus acknowledged.

        The new ones are written before the old ones go: a kill in between must lose nothing.
        """
        if rows:
            self.store.upsert(rows)
        self.store.delete([row["moved_from"] for row in rows if row.get("moved_from")])
        for each in rows:
            vars(self.report)[self._change(each)] += 1

    def _change(self, row: dict) -> str:
        """Return what was done by writing a row, as the report calls it."""
        if before := self.rows.get(row["id"]):
            return "unchanged" if before["digest"] == row.get("digest") else "updated"
        return "moved" if row.get("moved_from") else "inserted"


def _with_digests(files: list[ImageFile], rows: Mapping[str, dict]) -> Generator[list[_Digested]]:
    """Yield files in batches, each with the digest of its content; the next is read meanwhile.

    The digest is empty if the file need not be read, as no row and no other file has its size.
    """
    sizes = Counter(row["size"] for row in rows.values() if row["digest"])
    sizes.update(file.facts["size"] for file in files)

    def digested(file: ImageFile) -> _Digested:
        if unchanged(rows.get(_key(file)), file.facts):
            return file, rows[_key(file)]["digest"]  # it is of before, and only lacks its stamp
        is_alone = sizes[file.facts["size"]] == 1
        return file, "" if is_alone else or_else("", lambda: content_digest(file))

    return map_batches(digested, files, _READ_AHEAD, 1)
