"""`ingest`: from a folder of images to a collection, resumable, with a report."""

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from .batches import map_batches
from .collection.store import ImageStore, image_id
from .images.files import load_with_size
from .images.tutorial import list_images
from .models.encoder import ClipEncoder
from .paths import resolve_path

__all__ = ["IngestReport", "ingest"]

_FLUSH_EVERY = 10_000  # rows in a local file: opening one after a kill replays what is not flushed


@dataclass
class IngestReport:
    """What an ingestion did; a notebook shows it as a table.

    `found` images were considered: `inserted` and `updated` (the file changed) were encoded,
    `unchanged` were not, `skipped` lists (filepath, reason) of what could not be read. `removed`
    rows were of files that are gone. `seconds` is the wall time. If it was `interrupted`, what
    is counted is stored, and the next run does the rest.
    """

    found: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Give the counts as a table of one row."""
        counts = vars(self) | {"skipped": len(self.skipped), "seconds": round(self.seconds, 1)}
        return pd.DataFrame([counts])

    def _repr_html_(self) -> str:
        table = self.to_frame().drop(columns="interrupted").to_html(index=False)
        note = "<b>Interrupted.</b> What was written is kept; run it again, and it goes on there."
        return f"{table}<p>{note}</p>" if self.interrupted else table


@dataclass(frozen=True)
class _File:
    """An image file and what tells whether it changed."""

    path: Path
    filepath: str
    id: str
    size: int
    mtime: int


def ingest(
    image_dir: str | os.PathLike,
    encoder: ClipEncoder,
    store: ImageStore,
    *,
    recreate: bool = False,
    prune: bool = False,
    limit: int | None = None,
    shard: tuple[int, int] = (0, 1),
    batch_size: int | None = None,
    progress: bool = True,
) -> IngestReport:
    """Encode the images below a folder and keep them in the store.

    Run again, it encodes only files that are new or changed (by size and modification time), so
    it goes on where it was stopped. A file that cannot be read is skipped and reported. An
    interrupt (Ctrl-C, or Jupyter's stop button) ends it early, with a report that says so.

    Parameters
    ----------
    image_dir : path
        The folder; its images are known by their paths below it.
    encoder, store
    recreate : bool
        Drop the collection first.
    prune : bool
        Remove the rows of files that are gone.
    limit : int, optional
        Take only the first so many images, in the order of their paths.
    shard : (int, int)
        (i, n): take the i-th of n disjoint parts, which stay the same when the folder grows.
    batch_size : int, optional
        Images per forward pass and per write: memory, and what a kill can lose, grow with it.
    progress : bool
        Show a progress bar.

    Raises
    ------
    OSError
        If the folder cannot be read.
    ValueError, TypeError
        If another model or folder filled the collection, or an argument makes no sense.
    ConnectionError
        If Milvus fails; what it acknowledged is kept.
    """
    started = time.perf_counter()
    folder = resolve_path(image_dir)
    images = list_images(folder)
    batch_size = encoder.batch_size if batch_size is None else batch_size
    _check_flags(recreate=recreate, prune=prune)
    _check(images, prune, limit, shard, batch_size)
    if recreate:
        store.drop()
    store.open_for(encoder, folder)

    report = IngestReport()
    try:
        rows = store.rows(["id", "filepath", "size", "mtime"])
        known = {row["id"]: (row["filepath"], row["size"], row["mtime"]) for row in rows}
        files = list(_select(images, folder, shard, limit, report))
        changed = [f for f in files if known.get(f.id) != (f.filepath, f.size, f.mtime)]
        report.unchanged = len(files) - len(changed)
        hidden = not progress or not changed
        bar = tqdm(total=len(changed), unit="image", desc="ingesting", disable=hidden)
        encoded = _encode(changed, encoder, batch_size, report, bar)
        with bar, contextlib.closing(encoded):
            _write(encoded, store, known, report)
        if prune:
            report.removed = _remove_gone(store, folder, known)
    except KeyboardInterrupt:
        report.interrupted = True
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            store.flush()
        raise
    if store.is_file or report.inserted or report.updated or report.removed:
        store.flush()  # rows not flushed are searched slowly, those of a killed run too
    report.seconds = time.perf_counter() - started
    return report


def _check_flags(**flags: object) -> None:
    """Refuse a text: "false" is not empty, and would delete."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} is True or False, not {value!r}")


def _check(
    images: list[Path], prune: bool, limit: int | None, shard: tuple[int, int], batch_size: int
) -> None:
    part, parts = shard
    if not 0 <= part < parts:
        raise ValueError(f"shard {shard!r} should be (i, n) with 0 <= i < n")
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if prune and (limit is not None or parts > 1):
        raise ValueError("prune needs to see all images: leave out limit and shard")
    if prune and not images:
        raise ValueError("prune would remove every row: the folder holds no image (unmounted?)")


def _select(
    images: Iterable[Path],
    folder: Path,
    shard: tuple[int, int],
    limit: int | None,
    report: IngestReport,
) -> Iterator[_File]:
    """Pick this shard's files; note in the report what cannot be looked at."""
    part, parts = shard
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
        if int(key, 16) % parts != part:
            continue
        report.found += 1
        try:
            status = path.stat()
        except OSError as error:
            report.skipped.append((filepath, error.strerror or str(error)))
            continue
        if stat.S_ISREG(status.st_mode):
            yield _File(path, filepath, key, status.st_size, status.st_mtime_ns)
        else:  # opening a pipe would wait for ever
            report.skipped.append((filepath, "not a regular file"))


def _encode(
    files: list[_File], encoder: ClipEncoder, batch_size: int, report: IngestReport, bar: tqdm
) -> Iterator[list[dict]]:
    """Make rows, batch by batch; what cannot be read goes into the report instead."""

    def read(file: _File) -> tuple:
        try:
            image, size = load_with_size(file.path, encoder.edge)
            return file, encoder.prepare(image), size
        except OSError as error:
            return file, None, error.strerror or str(error).removeprefix(f"{file.path}: ")

    with contextlib.closing(map_batches(read, files, batch_size, encoder.ahead)) as batches:
        for batch in batches:
            readable = [item for item in batch if item[1] is not None]
            report.skipped += [(file.filepath, why) for file, px, why in batch if px is None]
            if readable:
                vectors = encoder.encode_pixels(torch.stack([pixels for _, pixels, _ in readable]))
                yield [_row(f, size, v) for (f, _, size), v in zip(readable, vectors, strict=True)]
            bar.set_postfix(skipped=len(report.skipped), refresh=False)
            bar.update(len(batch))


def _write(
    batches: Iterable[list[dict]], store: ImageStore, known: dict, report: IngestReport
) -> None:
    """Write each batch while the next one is made, and count what Milvus acknowledged."""
    unflushed = 0

    def write(rows: list[dict]) -> None:
        nonlocal unflushed
        store.upsert(rows)
        updated = sum(row["id"] in known for row in rows)
        report.updated += updated
        report.inserted += len(rows) - updated
        unflushed += len(rows)
        if store.is_file and unflushed >= _FLUSH_EVERY:
            store.flush()
            unflushed = 0

    with ThreadPoolExecutor(1) as writer:
        pending = writer.submit(lambda: None)
        for rows in batches:
            pending.result()
            pending = writer.submit(write, rows)
        pending.result()


def _row(file: _File, size: tuple[int, int], vector: np.ndarray) -> dict:
    return {
        "id": file.id,
        "vector": vector,
        "filepath": file.filepath,
        "label": PurePosixPath(file.filepath).parent.name,
        "width": size[0],
        "height": size[1],
        "size": file.size,
        "mtime": file.mtime,
    }


def _remove_gone(store: ImageStore, folder: Path, known: dict[str, tuple]) -> int:
    gone = [key for key, (filepath, *_) in known.items() if _is_gone(folder / filepath)]
    store.delete(gone)
    return len(gone)


def _is_gone(path: Path) -> bool:
    """Say whether a file is not there; one in a folder that cannot be read may well be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
