"""Evaluate a large collection of random vectors: seconds and memory. Run: `make evaluation`."""

import argparse
import json
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil

from helpers import ImageStore, calibrate, evaluate, evaluate_captions, zero_shot
from helpers.batches import batches
from helpers.evaluation.judgements import from_captions, from_labels

from ..support.rows import row

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


def steps(store: ImageStore, encoder: RandomTexts, captions: Path) -> Iterator[str]:
    """Do one thing after another; yield what was done."""
    judgements = from_labels(store)
    yield "read the vectors, by labels"
    evaluate(judgements, encoder).table()
    yield f"{len(judgements):,} labels to images"
    zero_shot(judgements, encoder)
    yield "zero-shot accuracy"
    calibrate(encoder, store, judgements)
    yield "calibration by labels"
    judgements = from_captions(store, captions)
    yield "read the vectors, by captions"
    evaluate(judgements, encoder).table()
    yield f"{len(judgements):,} captions to images"
    evaluate_captions(judgements, encoder).table()
    yield "images to captions"
    calibrate(encoder, store, judgements)
    yield "calibration by captions"


def main() -> None:
    """Print a row for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    options = parser.parse_args()
    encoder = RandomTexts()
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.jsonl"
        with ImageStore(Path(folder) / "milvus.db") as store:
            names = fill(store, encoder, options.images, options.classes)
            lines = ({"file": name, "captions": [f"caption of {name}"]} for name in names)
            captions.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
            print(f"{options.images:,} images, {DIM} dimensions, Milvus Lite")
            print("| step | seconds | most memory above the database's so far, MB |")
            print("| --- | ---: | ---: |")
            memory, started = Memory(), time.perf_counter()
            for step in steps(store, encoder, captions):
                seconds, started = time.perf_counter() - started, time.perf_counter()
                print(f"| {step} | {seconds:.1f} | {memory.megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
