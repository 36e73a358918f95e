"""`ingest`: from a folder of images to a collection, resumable, with a report."""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from .batches import map_batches
from .collection.columns import FORMAT, compared, image_id, key_range, row, with_facts
from .collection.store import ImageStore
from .encoding import Encoder
from .images.files import ImageFile, lies_in_leftovers, look_at, survey
from .images.pictures import read_image
from .recognition import PLACE, Recognised, recognise, rows_of_these_sizes
from .report import IngestReport
from .settings import YesNoAll, check_flags, check_whole, resolve_path

_AT_ONCE = 256  # rows that only get new facts
_MANY = 10  # rows: fewer than this are removed without asking, unless they are a whole folder


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

    The next run reads only files that are new or changed (by size and modification time), so it
    continues where the last one stopped. A file whose content is known keeps its vector: if it is
    no longer at the place where it was, its row moves along. Rows of an earlier version get what
    they lack (`images.facts`) without encoding. A file that cannot be read is skipped and
    reported. An interrupt (Ctrl-C, or Jupyter's stop button) ends the run early, and the
    report says so.

    Parameters
    ----------
    image_dir : path
        The folder; an image is identified by its path below it.
    encoder, store
    recreate : bool
        Drop the collection first.
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
    batch_size = encoder.batch_size if batch_size is None else batch_size
    check_flags(recreate=recreate, prune=prune == "all" or prune, progress=progress)
    check_whole(1, limit=limit, batch_size=batch_size)
    _check(surveyed.images, prune, limit, shard)
    if recreate:
        store.drop()
    store.open_for(encoder, folder)

    report = IngestReport(left_out=surveyed.left_out)
    try:
        keys = key_range(*shard)
        fields = dict.fromkeys([*PLACE, *compared(), "format"])
        rows = store.rows(list(fields), keys=keys if shard[1] > 1 else None)
        known = {found["id"]: found for found in rows}
        files = dict(_select(surveyed.images, folder, keys, limit, report))
        listed = set(surveyed.images)
        changed, outdated = _changed_and_outdated(files, known)
        report.unchanged = len(files) - len(changed)
        hidden = not progress or not changed
        with tqdm(total=len(changed), unit="image", desc="ingesting", disable=hidden) as bar:
            run = _Run(encoder, store, folder, batch_size, files, known, listed, report, bar)
            run.finish_moves()
            everywhere = known.values() if shard[1] == 1 else rows_of_these_sizes(changed, store)
            new, twins = run.keep_vectors(changed, everywhere)
            run.read_facts(outdated + run.outdated, progress)
            gone = run.gone() if prune else []
            if prune is True:
                _check_gone(gone, known, surveyed.images, folder)
            run.encode(new)
            bad, worse = run.keep_vectors(twins, rows_of_these_sizes(twins, store))
            run.encode(bad + worse)  # as unreadable as those that they are twins of, as a rule
        store.delete([row["id"] for row in gone])
        report.removed = len(gone)
    except KeyboardInterrupt:
        report.interrupted = True
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to report
            store.flush()
        raise
    store.flush()
    report.note = _outgrown(store)
    report.seconds = time.perf_counter() - started
    return report


def _outgrown(store: ImageStore) -> str:
    """Return what to do if there are now twice or half as many images as were calibrated."""
    before = store.calibration.get("images")
    if not before or before / 2 < (now := store.count()) < 2 * before:
        return ""
    return (
        f"Where matches begin was measured with {before:,} images, and there are {now:,} now: run "
        "05_evaluation again"
    )


def _check(images: list[Path], prune: YesNoAll, limit: int | None, shard: tuple[int, int]) -> None:
    part, parts = shard
    if not 0 <= part < parts:
        raise ValueError(f"shard {shard!r} should be (i, n) with 0 <= i < n")
    if prune and (limit is not None or parts > 1):
        raise ValueError("prune needs to see all images: leave out limit and shard")
    if prune is True and not images:
        raise ValueError(
            "prune would remove every row: the folder holds no image. Is it mounted? If you mean "
            'it, prune="all" removes them'
        )


def _check_gone(
    gone: Sequence[dict], known: Mapping[str, dict], images: Iterable[Path], folder: Path
) -> None:
    """Refuse to remove what is gone only because a disk is not mounted, as it seems."""
    there = {parent for image in images for parent in image.relative_to(folder).parents}
    before, lost = (
        Counter(PurePosixPath(row["filepath"]).parent for row in rows)
        for rows in (known.values(), gone)
    )
    whole = {p: n for p, n in lost.items() if n == before[p] and p not in there}
    many = len(gone) >= _MANY and 5 * len(gone) > len(known)
    if not (whole or many):
        return
    why = "that is more than a fifth"
    if whole:
        shown = ", ".join(f"{parent} ({number})" for parent, number in sorted(whole.items())[:3])
        more = f" and {len(whole) - 3} more" if len(whole) > 3 else ""
        why = f"these folders are empty or missing: {shown}{more}"
    raise ValueError(
        f"prune would remove {len(gone)} of {len(known)} images: {why}. Nothing was removed. Is a "
        'disk not mounted? If the files were deleted on purpose, prune="all" removes their rows'
    )


def _select(
    images: Iterable[Path],
    folder: Path,
    keys: tuple[str, str],
    limit: int | None,
    report: IngestReport,
) -> Iterator[tuple[str, ImageFile]]:
    """Yield this shard's files with their keys; report those that cannot be looked at."""
    for path in images:
        if report.found == limit:
            return
        filepath = path.relative_to(folder).as_posix()
        try:
            key = image_id(filepath)
        except UnicodeEncodeError:
            shown = os.fsencode(filepath).decode("utf-8", "replace")
            report.found += 1
            report.skipped.append((shown, "the name is not UTF-8: rename the file"))
            continue
        if not keys[0] <= key <= keys[1]:
            continue
        report.found += 1
        try:
            yield key, look_at(path, folder)
        except OSError as error:
            report.skipped.append((filepath, error.strerror or str(error)))


@dataclass
class _Run:
    """An ingestion under way.

    `files` are those of this run by their keys, `known` its rows, and `listed` all images.
    """

    encoder: Encoder
    store: ImageStore
    folder: Path
    batch_size: int
    files: Mapping[str, ImageFile]
    known: Mapping[str, dict]
    listed: Set[Path]
    report: IngestReport
    bar: tqdm
    left: set[str] = field(default_factory=set)  # keys of rows that moved
    outdated: list[ImageFile] = field(default_factory=list)  # with a row of an earlier format

    def finish_moves(self) -> None:
        """Remove the rows that a killed run left after it wrote those that replace them."""
        gone = {row["id"]: row for row in self._gone}
        moved = self.store.find("moved_from", gone, ["moved_from", "digest"])
        self.left |= {
            row["moved_from"] for row in moved if row["digest"] == gone[row["moved_from"]]["digest"]
        }
        self.store.delete(list(self.left))

    def read_facts(self, files: list[ImageFile], progress: bool) -> None:
        """Read what photos tell into their rows, which an earlier version wrote; vectors stay."""

        def read(file: ImageFile) -> tuple[ImageFile, Mapping[str, object]]:
            try:
                return file, {**file.facts, **read_image(file, 64)[1], "format": FORMAT}
            except OSError:
                return file, {}  # try again next time

        hidden = not progress or not files
        with (
            tqdm(total=len(files), unit="image", desc="reading dates", disable=hidden) as bar,
            contextlib.closing(map_batches(read, files, _AT_ONCE, 0)) as batches,
        ):
            for batch in batches:
                facts = {image_id(str(f.facts["filepath"])): told for f, told in batch if told}
                stored = self.store.get(list(facts))
                self.store.upsert([with_facts(row, facts[row["id"]]) for row in stored])
                bar.update(len(batch))

    def keep_vectors(
        self, files: list[ImageFile], rows: Iterable[dict]
    ) -> tuple[list[ImageFile], list[ImageFile]]:
        """Write the rows of files whose content is known; return new ones, and twins of others."""
        new: list[ImageFile] = []
        twins: list[ImageFile] = []
        seen: set[str] = set()
        for batch in recognise(files, rows):
            for file, digest, _ in self._write_known(batch):
                (twins if digest in seen else new).append(file)
                seen.update(filter(None, [digest]))
            seen.update(each.digest for each in batch if each.digest)
        return new, twins

    def _write_known(self, batch: list[Recognised]) -> list[Recognised]:
        """Write the rows of files whose content is known, and return the other files.

        The new rows are written before the old ones go: a kill in between must lose nothing.
        """
        there = {
            each.digest: row["id"]
            for each in batch
            for row in each.rows
            if row["id"] not in self.left
        }
        stored = {row["digest"]: row for row in self.store.get(list(there.values()))}
        unknown, rows = [], []
        counts: Counter[str] = Counter()
        for each in batch:
            source = stored.get(each.digest)  # None if a row was written since: files swapped
            if source is None:
                unknown.append(each)
                continue
            key = image_id(str(each.file.facts["filepath"]))
            touched = key in {row["id"] for row in each.rows}
            moved_from = "" if touched else self._take_gone(each.rows)
            if source.get("format", 0) < FORMAT:
                self.outdated.append(each.file)
            rows.append(with_facts(source, {**each.file.facts, "moved_from": moved_from}))
            changed = "updated" if key in self.known else "moved" if moved_from else "inserted"
            counts["unchanged" if touched else changed] += 1
        if rows:
            self.store.upsert(rows)
            self.store.delete([row["moved_from"] for row in rows if row["moved_from"]])
        self.report.add(counts)
        self.bar.update(len(rows))
        return unknown

    def _take_gone(self, rows: Iterable[dict]) -> str:
        """Return the key of the first row whose file is gone, and never again; "" if none is."""
        keys = (row["id"] for row in rows if row["id"] not in self.left and self._is_gone(row))
        key = next(keys, "")
        self.left.update(filter(None, [key]))
        return key

    def gone(self) -> list[dict]:
        """Return the rows whose files are gone, without those that moved."""
        return [row for row in self._gone if row["id"] not in self.left]

    @cached_property
    def _gone(self) -> list[dict]:
        return [row for row in self.known.values() if self._is_gone(row)]

    def _is_gone(self, row: dict) -> bool:
        """Return whether a file is gone; in a folder that cannot be read it may still be there."""
        path = self.folder / row["filepath"]
        if path in self.listed:
            return False
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        # It is there, but known by its real path, or by another spelling where that is the same.
        known = (status.st_dev, status.st_ino) in self._identities
        return known or lies_in_leftovers(row["filepath"])

    @cached_property
    def _identities(self) -> set[tuple[int, int]]:
        return {file.identity for file in self.files.values()}

    def encode(self, files: list[ImageFile]) -> None:
        """Encode files and write their rows."""
        with contextlib.closing(self._encoded(files)) as batches:
            self._write(batches)

    def _encoded(self, files: list[ImageFile]) -> Generator[list[dict], None, None]:
        """Yield rows, batch by batch; files that cannot be read go into the report instead."""
        with contextlib.closing(self.encoder.encode_stream(files, self.batch_size)) as stream:
            for batch in stream:
                for file, _, _, error in batch:
                    if error:
                        reason = error.strerror or str(error).removeprefix(f"{file.path}: ")
                        self.report.skipped.append((file.facts["filepath"], reason))
                rows = [row({**f.facts, **facts}, vector) for f, facts, vector, e in batch if not e]
                if rows:
                    yield rows
                self.bar.set_postfix(skipped=len(self.report.skipped), refresh=False)
                self.bar.update(len(batch))

    def _write(self, batches: Iterable[list[dict]]) -> None:
        """Write each batch while the next is being made; count what Milvus acknowledged."""
        with ThreadPoolExecutor(1) as writer:
            pending = writer.submit(lambda: None)
            for rows in batches:
                pending.result()
                pending = writer.submit(self._upsert, rows)
            pending.result()

    def _upsert(self, rows: list[dict]) -> None:
        self.store.upsert(rows)
        updated = sum(row["id"] in self.known for row in rows)
        self.report.updated += updated
        self.report.inserted += len(rows) - updated


def _changed_and_outdated(
    files: Mapping[str, ImageFile], known: Mapping[str, dict]
) -> tuple[list[ImageFile], list[ImageFile]]:
    """Return the files that are new or changed, and others whose rows lack newer facts."""
    changed, outdated = [], []
    for key, file in files.items():
        row = known.get(key)
        if row is None or any(file.facts[name] != row[name] for name in compared()):
            changed.append(file)
        elif row["format"] < FORMAT:
            outdated.append(file)
    return changed, outdated
