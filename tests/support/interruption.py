"""Kill ingestions, again and again, and check what is left: see `kill_and_rerun`.

`python -m tests.support.interruption FOLDER [KILLS]` does it with a folder of photos, first new
ones, then moved ones. The encoder is `StubEncoder`: each process starts without torch.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers import ImageStore, ingest, list_images
from helpers.collection.columns import image_id

from .processes import ROOT
from .stub import StubEncoder

CHILD = """
import json
import signal
import sys
import time
from helpers import ImageStore, ingest, ingestion
from tests.support.stub import StubEncoder

# as in a terminal or a kernel; a shell's background jobs would ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)

begun = 0

def announced(name, call):
    def announce(*args):
        global begun
        if args and not args[0]:
            return call(*args)  # no rows: nothing is written
        begun += 1
        print(name, flush=True)
        if begun == int(held):
            time.sleep(600)
        answer = call(*args)
        print("done", flush=True)
        return answer
    return announce

folder, database, batch_size, recreate, held = sys.argv[1:]
ingestion._READ_AHEAD = int(batch_size)
with ImageStore(database) as store:
    store.upsert = announced("write", store.upsert)
    store.delete = announced("write", store.delete)
    store.flush = announced("flush", store.flush)
    report = ingest(folder, StubEncoder(), store, recreate=recreate == "True",
                    batch_size=int(batch_size), progress=False)
    print(json.dumps([report.interrupted, report.inserted, store.count()]), flush=True)
"""


def start(
    folder: Path,
    database: str | Path,
    batch_size: int,
    recreate: bool = True,
    held: int = 0,
) -> subprocess.Popen:
    """Start an ingestion in a process that prints when it writes, deletes and flushes.

    It is held before the write of that number, so that it can be killed just there.
    """
    arguments = map(str, (folder, database, batch_size, recreate, held))
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def signal_in_mid_write(child: subprocess.Popen, write: int, delay: float, number: int) -> int:
    """Signal `delay` seconds after the n-th write or flush begins; return how many were done."""
    done = begun = 0
    for line in child.stdout:
        done += line == "done\n"
        begun += line in ("write\n", "flush\n")
        if begun == write:
            time.sleep(delay)
            child.send_signal(number)
            return done
    raise AssertionError(f"the ingestion ended before its write number {write}")


def stored(store: ImageStore) -> dict[str, np.ndarray]:
    """Return the vector of each key."""
    return {row["id"]: np.array(row["vector"]) for row in store.rows(["id", "vector"])}


def kill_and_rerun(folder: Path, database: str | Path, batch_size: int, kills: int) -> list[dict]:
    """Kill ingestions (SIGKILL) while rows are written, and run each again to its end.

    Returns
    -------
    list of dict
        For each kill: how many writes and flushes were `acknowledged`; the rows `kept`; whether
        the rerun left these `unchanged`; the `count` after it; whether the `keys` are those of
        a clean run; and the lowest `cosine` between a row's vector and that of a clean run.
    """
    rng = random.Random(0)
    encoder = StubEncoder()
    with ImageStore(database) as store:
        found = ingest(folder, encoder, store, batch_size=batch_size, progress=False).inserted
        clean = stored(store)
    writes = -(-found // batch_size) + 1  # and the flush at the end
    outcomes = []
    for kill in range(kills):
        with start(folder, database, batch_size) as child:
            moment = 2 + kill * (writes - 1) // kills
            done = signal_in_mid_write(child, moment, rng.uniform(0, 0.02), signal.SIGKILL)
        with ImageStore(database) as store:
            kept = store.count()
            report = ingest(folder, encoder, store, batch_size=batch_size, progress=False)
            rows = stored(store)
            outcomes.append(
                {
                    "acknowledged": done,
                    "kept": kept,
                    "unchanged": report.unchanged == kept,
                    "count": store.count(),
                    "keys": rows.keys() == clean.keys(),
                    "cosine": min(float(rows[key] @ clean[key]) for key in clean),
                }
            )
    return outcomes


def kill_moves_and_rerun(
    folder: Path, database: str | Path, batch_size: int, kills: int
) -> list[dict]:
    """Kill ingestions (SIGKILL) while rows move with their files, and run each again to its end.

    The files of the folder are moved to and fro between it and folders in it.

    Returns
    -------
    list of dict
        For each kill: the `places` of rows right after it, whether known or new; how many files
        the rerun `encoded`; the `count` after it; whether the `keys` are those of the files; and
        whether all `vectors` are those from before.
    """
    rng = random.Random(0)
    encoder = StubEncoder()
    with ImageStore(database) as store:
        ingest(folder, encoder, store, recreate=True, progress=False)
        before = _by_digest(store)
    writes = 2 * -(-len(before) // batch_size)  # each batch is written, then the old rows go
    outcomes = []
    for kill in range(kills):
        for path in list_images(folder):
            place = path.relative_to(folder)
            new = place.parts[1:] if place.parts[0] == "moved" else ("moved", *place.parts)
            folder.joinpath(*new).parent.mkdir(parents=True, exist_ok=True)
            path.rename(folder.joinpath(*new))
        moment = 1 + kill * writes // kills
        held = 0 if kill % 2 else moment + moment % 2  # between a write and what it makes go away
        with start(folder, database, batch_size, recreate=False, held=held) as child:
            signal_in_mid_write(child, held or moment, rng.uniform(0, 0.02), signal.SIGKILL)
        with ImageStore(database) as store:
            places = store.count()
            report = ingest(folder, encoder, store, progress=False)
            rows, keys = _by_digest(store), [row["id"] for row in store.rows(["id"])]
            files = [image_id(p.relative_to(folder).as_posix()) for p in list_images(folder)]
            outcomes.append(
                {
                    "places": places,
                    "encoded": report.inserted + report.updated,
                    "count": store.count(),
                    "keys": sorted(keys) == sorted(files),
                    "vectors": rows == before,
                }
            )
    return outcomes


def _by_digest(store: ImageStore) -> dict[str, list[float]]:
    return {row["digest"]: list(row["vector"]) for row in store.rows(["digest", "vector"])}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(sys.argv[1]).resolve()
        kills = int(sys.argv[2]) if len(sys.argv) > 2 else 20
        database = Path(scratch) / "milvus.db"
        for outcome in kill_and_rerun(photos, database, 32, kills):
            print(json.dumps(outcome))
        copied = Path(shutil.copytree(photos, Path(scratch) / "images"))
        for outcome in kill_moves_and_rerun(copied, database, 32, kills):
            print(json.dumps(outcome))
