"""Kill ingestions, again and again, and check what is left: see `kill_and_rerun`.

`python -m tests.support.interruption FOLDER MODEL [KILLS]` does it with a folder of photos.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers import ClipEncoder, ImageStore, ingest

CHILD = """
import json
import signal
import sys
from helpers import ClipEncoder, ImageStore, ingest

# as in a terminal or a kernel; a shell's background jobs would ignore it
signal.signal(signal.SIGINT, signal.default_int_handler)

def announced(name, call):
    def announce(*args):
        print(name, flush=True)
        answer = call(*args)
        print("done", flush=True)
        return answer
    return announce

folder, model, database, batch_size = sys.argv[1:]
encoder = ClipEncoder(model, device="cpu")
with ImageStore(database) as store:
    store.upsert = announced("write", store.upsert)
    store.flush = announced("flush", store.flush)
    report = ingest(folder, encoder, store, recreate=True, batch_size=int(batch_size),
                    progress=False)
    print(json.dumps([report.interrupted, report.inserted, store.count()]), flush=True)
"""


def start(folder: Path, model: str | Path, database: Path, batch_size: int) -> subprocess.Popen:
    """Start an ingestion from scratch in a process that prints when it writes and flushes."""
    arguments = map(str, (folder, model, database, batch_size))
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


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


def kill_and_rerun(
    folder: Path,
    model: str | Path,
    database: str | Path,
    batch_size: int,
    kills: int,
    seed: int = 0,
) -> list[dict]:
    """Kill ingestions (SIGKILL) while rows are written, and run each again to its end.

    Returns
    -------
    list of dict
        For each kill: how many writes and flushes were `acknowledged`; the rows `kept`; whether
        the rerun left these `unchanged`; the `count` after it; whether the `keys` are those of
        a clean run; and the lowest `cosine` between a row's vector and that of a clean run.
    """
    rng = random.Random(seed)
    encoder = ClipEncoder(model, device="cpu")
    with ImageStore(database) as store:
        found = ingest(folder, encoder, store, batch_size=batch_size, progress=False).inserted
        clean = stored(store)
    writes = -(-found // batch_size) + 1  # and the flush at the end
    outcomes = []
    for kill in range(kills):
        with start(folder, model, database, batch_size) as child:
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


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        kills = int(sys.argv[3]) if len(sys.argv) > 3 else 20
        database = Path(scratch) / "milvus.db"
        for outcome in kill_and_rerun(Path(sys.argv[1]), sys.argv[2], database, 32, kills):
            print(json.dumps(outcome))
