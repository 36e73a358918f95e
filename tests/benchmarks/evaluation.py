"""Evaluate a large collection of random vectors: seconds and memory. Run: `make evaluation`.

Each step is asked what it did, and figures that cannot be are not printed, see `possible`.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import psutil

from helpers import ImageStore, calibrate, evaluate, zero_shot
from helpers.batches import batches
from helpers.evaluation.calibration import Calibration
from helpers.evaluation.figures import Interval
from helpers.evaluation.judgements import from_captions, from_labels
from helpers.evaluation.measuring import Evaluation

from ..support.rows import row
from . import machine, possible

DIM = 512


class RandomTexts(SimpleNamespace):
    """An encoder of texts alone: every text has its own random vector, the same every time."""

    name = model_name = "random"
    dim, digest, content = DIM, "r" * 64, "r" * 64

    def encode_texts(self, texts, templates=("{}",)) -> np.ndarray:
        seeds = (zlib.crc32(text.encode()) for text in texts)
        drawn = [np.random.default_rng(seed).standard_normal(DIM) for seed in seeds]
        vectors = np.array(drawn, np.float32).reshape(-1, DIM)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def common_words(self) -> list[str]:
        return [f"word {number}" for number in range(200)]


class Memory:
    """The most memory of this process since it was made, above what it had then, in MB."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._most = self._process.memory_info().rss
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self._most = max(self._most, self._process.memory_info().rss)
            time.sleep(0.02)

    @property
    def megabytes(self) -> float:
        return (self._most - self._before) / 1e6


def fill(store: ImageStore, encoder: RandomTexts, number: int, classes: int) -> list[str]:
    """Store images as vectors near that of their label; return their names."""
    store.open_for(encoder, Path("nowhere"))
    labels = [f"class {place % classes}" for place in range(number)]
    centres = encoder.encode_texts(labels[:classes])
    chance = np.random.default_rng(0)
    names = [f"{label}/{place}.jpg" for place, label in enumerate(labels)]
    for part in batches(range(number), 2000):
        noise = chance.standard_normal((len(part), DIM)).astype(np.float32) / DIM**0.5
        vectors = noise + 0.3 * centres[np.array(part) % classes]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        pairs = zip(part, vectors, strict=True)
        store.upsert([row(names[place], vector, label=labels[place]) for place, vector in pairs])
    store.flush()
    store.count()  # loads it
    return names


class Step(NamedTuple):
    """What was done: so many items (or pairs of them) of those claimed, with shares as a result."""

    name: str
    done: int
    claimed: int
    shares: Sequence[Interval] = ()


class Row(NamedTuple):
    """A step, the seconds that it took, and the most memory so far."""

    step: Step
    seconds: float
    megabytes: float


def steps(
    store: ImageStore, encoder: RandomTexts, captions: Path, images: int, classes: int
) -> Iterator[Step]:
    """Do one thing after another; yield what was done."""
    judgements = from_labels(store)
    yield Step("read the vectors, by labels", len(judgements.pool), images)
    yield _compared(f"{classes:,} labels to images", evaluate(judgements, encoder), classes, images)
    shot = zero_shot(judgements, encoder)
    yield Step("zero-shot accuracy", len(shot.values), images, [shot.of("success at 1")])
    yield _calibrated("calibration by labels", calibrate(encoder, store, judgements), images)
    judgements = from_captions(store, captions)
    yield Step("read the vectors, by captions", len(judgements.pool), images)
    found = evaluate(judgements, encoder)
    yield _compared(f"{images:,} captions to images", found, images, images)
    found = zero_shot(judgements, encoder)
    yield _compared("images to captions", found, images, images)
    yield _calibrated("calibration by captions", calibrate(encoder, store, judgements), images)


def _compared(name: str, found: Evaluation, queries: int, pool: int) -> Step:
    found.table()
    shares = [found.of("R-precision")] if "R-precision" in found.values else []
    return Step(name, len(found.values) * found.pool, queries * pool, shares)


def _calibrated(name: str, made: Calibration, images: int) -> Step:
    return Step(name, made.images, images, [made.area, made.missed, made.false_alarms])


def impossible(rows: Sequence[Row], total: float) -> Iterator[str]:
    """Complain about figures that cannot be."""
    before = 0.0
    for step, seconds, megabytes in rows:
        yield from possible.positive(f"the time of {step.name}", seconds)
        yield from possible.worked(step.name, step.done, step.claimed)
        yield from possible.within(f"the memory up to {step.name}", megabytes, before)
        before = megabytes
        for share in step.shares:
            if share.n:
                yield from possible.within(f"what {step.name} found", share.mean, 0, 1)
    spent = sum(row.seconds for row in rows)
    yield from possible.no_shorter("the whole", total, "all steps", spent)


def table(rows: Sequence[Row], total: float) -> str:
    """Return the rows as Markdown; refuse what cannot be."""
    possible.refuse(impossible(rows, total))
    lines = [
        "| step | seconds | most memory above the database's so far, MB |",
        "| --- | ---: | ---: |",
        *(f"| {step.name} | {seconds:.1f} | {most:.0f} |" for step, seconds, most in rows),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    options = parser.parse_args()
    encoder, where, rows = RandomTexts(), machine.heading(), []
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.jsonl"
        with ImageStore(Path(folder) / "milvus.db") as store:
            names = fill(store, encoder, options.images, options.classes)
            lines = ({"file": name, "captions": [f"caption of {name}"]} for name in names)
            captions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
            memory, started = Memory(), time.perf_counter()
            before = started
            for step in steps(store, encoder, captions, options.images, options.classes):
                seconds, before = time.perf_counter() - before, time.perf_counter()
                rows.append(Row(step, seconds, memory.megabytes))
                print(f"{step.name}: {seconds:.1f} s", file=sys.stderr)
            total = time.perf_counter() - started
    shown = table(rows, total)
    print(f"{where}: {options.images:,} images, {DIM} dimensions, Milvus Lite.\n\n{shown}")


if __name__ == "__main__":
    main()
