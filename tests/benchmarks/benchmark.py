"""Compare ways to encode images with CLIP, on the same images and weights: `make benchmark`.

Every contender runs in its own process, since a process's peak memory never falls. They take
turns, and the median of the turns counts. Compare ratios only within one run: machines differ.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from helpers import ClipEncoder, draw_demo_images, sample_images
from helpers.models.encoder import fetch

from ..support import models
from ..support.processes import ROOT
from .contenders import CONTENDERS, FACTS

LEAST = 1.0  # seconds that a turn lasts at least


def turn(name: str, job: dict) -> dict:
    """Run a contender here; return images per second and peak memory, and save its vectors."""
    paths, model = [Path(path) for path in job["paths"]], Path(job["model"])
    if name in FACTS:
        return FACTS[name](paths, model)
    _, contender, copies = CONTENDERS[name]
    work = contender(paths * copies, model)
    work(min(8, len(paths)))  # to warm up
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < LEAST:
        vectors = work(len(paths) * copies)
        done += len(paths) * copies
    rate = done / (time.perf_counter() - started)
    if vectors:
        np.save(job["vectors"], vectors()[: len(paths)])
    return {"images_per_second": rate, "peak_mb": peak_megabytes()}


def compare(paths: list[Path], model: Path, names: list[str], rounds: int, scratch: Path) -> dict:
    """Let the contenders take turns; return medians, and cosines with the tutorial's vectors."""
    job = {"paths": [str(path) for path in paths], "model": str(model)}
    turns: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            if name in FACTS and number:  # these take medians themselves
                continue
            vectors = str(scratch / f"{name}.npy")
            command = [sys.executable, "-m", __spec__.name, "--turn", name]
            answer = subprocess.run(
                command,
                input=json.dumps(job | {"vectors": vectors}),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                cwd=ROOT,
            )
            turns[name].append(json.loads(answer.stdout.splitlines()[-1]))
            print(f"turn {number + 1} of {rounds}: {name}", file=sys.stderr)
    results = {
        name: {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        for name, measured in turns.items()
    }
    reference = np.load(scratch / "tutorial.npy")
    for name, result in results.items():
        if "images_per_second" in result:
            rate = results["tutorial"]["images_per_second"]
            result["times_the_loop"] = result["images_per_second"] / rate
            if (scratch / f"{name}.npy").is_file():
                cosines = (np.load(scratch / f"{name}.npy") * reference).sum(axis=1)
                result["lowest_cosine"] = float(cosines.min())
    return results


def table(results: dict) -> str:
    """Return the results as Markdown."""
    lines = [
        "| way | images/s | times the loop | peak memory, MB | lowest cosine |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, (title, *_) in CONTENDERS.items():
        if result := results.get(name):
            cosine = f"{result['lowest_cosine']:.5f}" if "lowest_cosine" in result else ""
            rate, times = result["images_per_second"], result["times_the_loop"]
            lines.append(
                f"| {title} | {rate:.1f} | {times:.1f} | {result['peak_mb']:.0f} | {cosine} |"
            )
    return "\n".join([*lines, "", *(f"- {line}" for line in facts(results))])


def facts(results: dict) -> list[str]:
    """Return, in sentences, what the table cannot hold."""
    lines = []
    if {"forward_alone", "reading_alone", "ours_collection_auto"} <= results.keys():
        forward, reading, ours = (
            results[name]["images_per_second"]
            for name in ("forward_alone", "reading_alone", "ours_collection_auto")
        )
        limit = 1 / (1 / forward + 1 / reading)
        lines.append(
            f"Limit, when forward pass and reading share the cores, 1 / (1/{forward:.0f} + "
            f"1/{reading:.0f}) = {limit:.0f} images/s: folder to collection reaches "
            f"{ours / limit:.0%}."
        )
    if {"machine", "forward_alone"} <= results.keys():
        found, rate = results["machine"], results["forward_alone"]["images_per_second"]
        used = rate * found["gflop_per_image"] / 1000
        lines.append(
            f"Matrix products here: {found['float32']:.2f} TFLOP/s in float32, "
            f"{found['bfloat16']:.2f} in bfloat16; an image takes {found['gflop_per_image']:.1f} "
            f"GFLOP, so the forward pass runs at {used:.2f}, {used / found['bfloat16']:.0%} of it."
        )
    if found := results.get("texts"):
        theirs, ours, again = (
            1000 * found[name] for name in ("query_tutorial", "query", "query_repeated")
        )
        lines.append(
            f"One query: {theirs:.1f} ms in the tutorial's way, {ours:.1f} ms in ours, "
            f"{theirs / ours:.1f} times as fast (cosine {found['cosine']:.5f}); "
            f"the same again: {again:.3f} ms."
        )
        theirs, ours = 100 * found["label_clip"], 100 * found["label"]
        lines.append(
            f"100 labels x 80 templates: {theirs:.0f} s with clip in float32, a label at a time "
            f"(from 4 labels); {ours:.0f} s in ours, {theirs / ours:.1f} times as fast."
        )
    if found := results.get("large_photos"):
        whole, drafted = 1000 * found["whole"], 1000 * found["drafted"]
        lines.append(
            f"A JPEG of 12 megapixels ({found['megabytes']:.1f} MB) is prepared in {whole:.0f} ms "
            f"when decoded whole, in {drafted:.0f} ms when decoded smaller, "
            f"{whole / drafted:.1f} times as fast; lowest cosine {found['cosine']:.5f}."
        )
    return lines


def peak_megabytes() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    """Measure, print the table, write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder; by default drawings are made")
    parser.add_argument("--model", help="a model's name or checkpoint; by default random ViT-B/32")
    parser.add_argument("--sample", type=int, default=48, help="how many images of the folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the tutorial and these")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "benchmark.json")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(turn(options.turn, json.load(sys.stdin))))
        return
    names = list(dict.fromkeys(["tutorial", *(options.only or [*CONTENDERS, *FACTS])]))
    for peer in ("open_clip", "transformers"):
        if not find_spec(peer) and any(name.startswith(peer) for name in names):
            print(f'{peer} is left out: pip install -e ".[models]"', file=sys.stderr)
            names = [name for name in names if not name.startswith(peer)]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        images = options.images or scratch / "drawings"
        if not options.images:
            draw_demo_images(images, n=-(-options.sample // 10) * 10)  # ten a class
        model = (
            fetch(options.model)
            if options.model
            else models.save_random_clip(scratch / "random-vit-b-32.pt", models.VIT_B_32)
        )
        paths = sample_images(images, options.sample)
        ours = repr(ClipEncoder(model))
        results = compare(paths, model, names, options.rounds, scratch)
    about = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "images": len(paths),
        "model": options.model or "ViT-B/32 with random weights",
        "ours": ours,
        "rounds": options.rounds,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"about": about, "results": results}, indent=1) + "\n")
    print(
        f"{about['processor']}, {about['cores']} cores; {about['images']} images; "
        f"{about['model']}, auto: {ours}; median of {about['rounds']} turns\n"
    )
    print(table(results))


if __name__ == "__main__":
    main()
