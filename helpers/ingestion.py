"""`ingest`: from a folder of images to a collection, resumable, with a report."""

import contextlib
import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from .collection.columns import compared, image_id, key_range, row
from .collection.store import ImageStore
from .images.files import ImageFile, list_images, look_at
from .models.encoder import ClipEncoder
from .parameters import check_flags, check_whole
from .paths import resolve_path

__all__ = ["IngestReport", "ingest"]

_LISTED = 20  # skipped files, of which the first and the last are shown


@dataclass
class IngestReport:
    """What an ingestion did; a notebook shows it as a table.

    `found` images were considered. The `inserted` and the `updated` (the file changed) were
    encoded, the `unchanged` were not. `skipped` lists (filepath, reason) of files that could not
    be read. `removed` counts the rows of files that are gone. `seconds` is the wall time. If the
    run was `interrupted`, what is counted is stored, and the next run does the rest.
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
        """Return the counts as a table of one row."""
        counts = vars(self) | {"skipped": len(self.skipped), "seconds": round(self.seconds, 1)}
        return pd.DataFrame([counts])

    def _repr_html_(self) -> str:
        table = self.to_frame().drop(columns="interrupted").to_html(index=False)
        if self.interrupted:
            table += "<p><b>Interrupted.</b> What was written is kept. Run it again to continue."
        if self.skipped:
            reasons = pd.DataFrame(self.skipped, columns=["skipped", "reason"])
            table += reasons.to_html(index=False, max_rows=_LISTED, justify="left")
        return table


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
    """Encode the images below a folder and store them; return a report.

    The next run encodes only files that are new or changed (by size and modification time), so it
    continues where the last one stopped. A file that cannot be read is skipped and reported. An
    interrupt (Ctrl-C, or Jupyter's stop button) ends the run early, and the report says so.

    Parameters
    ----------
    image_dir : path
        The folder; an image is identified by its path below it.
    encoder, store
    recreate : bool
        Drop the collection first.
    prune : bool
        Remove the rows of files that are gone.
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
        If another model or folder filled the collection, or an argument makes no sense.
    ConnectionError
        If Milvus fails; what it acknowledged is kept.
    """
    started = time.perf_counter()
    folder = resolve_path(image_dir)
    images = list_images(folder)
    batch_size = encoder.batch_size if batch_size is None else batch_size
    check_flags(recreate=recreate, prune=prune, progress=progress)
    check_whole(1, limit=limit, batch_size=batch_size)
    _check(images, prune, limit, shard)
    if recreate:
        store.drop()
    store.open_for(encoder, folder)

    report = IngestReport()
    try:
        keys = key_range(*shard)
        rows = store.rows(["id", *compared()], keys=keys if shard[1] > 1 else None)
        known = {found.pop("id"): found for found in rows}
        files = list(_select(images, folder, keys, limit, report))
        changed = [file for key, file in files if not _is_unchanged(file, known.get(key))]
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
        with contextlib.suppress(OSError):  # the first error is the one to report
            store.flush()
        raise
    store.flush()
    report.seconds = time.perf_counter() - started
    return report


def _check(images: list[Path], prune: bool, limit: int | None, shard: tuple[int, int]) -> None:
    part, parts = shard
    if not 0 <= part < parts:
        raise ValueError(f"shard {shard!r} should be (i, n) with 0 <= i < n")
    if prune and (limit is not None or parts > 1):
        raise ValueError("prune needs to see all images: leave out limit and shard")
    if prune and not images:
        raise ValueError("prune would remove every row: the folder holds no image (is it mounted?)")


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


def _encode(
    files: Sequence[ImageFile],
    encoder: ClipEncoder,
    batch_size: int,
    report: IngestReport,
    bar: tqdm,
) -> Generator[list[dict], None, None]:
    """Yield rows, batch by batch; files that cannot be read go into the report instead."""
    with contextlib.closing(encoder.encode_stream(files, batch_size)) as stream:
        for batch in stream:
            for file, _, _, error in batch:
                if error:
                    reason = error.strerror or str(error).removeprefix(f"{file.path}: ")
                    report.skipped.append((file.facts["filepath"], reason))
            rows = [row({**f.facts, **facts}, vector) for f, facts, vector, e in batch if not e]
            if rows:
                yield rows
            bar.set_postfix(skipped=len(report.skipped), refresh=False)
            bar.update(len(batch))


def _write(
    batches: Iterable[list[dict]], store: ImageStore, known: dict, report: IngestReport
) -> None:
    """Write each batch while the next is being made; count what Milvus acknowledged."""

    def write(rows: list[dict]) -> None:
        store.upsert(rows)
        updated = sum(row["id"] in known for row in rows)
        report.updated += updated
        report.inserted += len(rows) - updated

    with ThreadPoolExecutor(1) as writer:
        pending = writer.submit(lambda: None)
        for rows in batches:
            pending.result()
            pending = writer.submit(write, rows)
        pending.result()


def _is_unchanged(file: ImageFile, known: dict | None) -> bool:
    return known is not None and all(file.facts[name] == known[name] for name in known)


def _remove_gone(store: ImageStore, folder: Path, known: dict[str, dict]) -> int:
    gone = [key for key, row in known.items() if _is_gone(folder / row["filepath"])]
    store.delete(gone)
    return len(gone)


def _is_gone(path: Path) -> bool:
    """Return whether a file is gone; in a folder that cannot be read it may still be there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
