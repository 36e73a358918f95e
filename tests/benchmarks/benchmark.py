"""Compare ways to encode images with CLIP, on the same images and weights: `make benchmark`.

Every contender runs in its own process, since a process's peak memory never falls. They take
turns, and the median of the turns counts. Compare ratios only within one run: machines differ.
No two files have the same content, what was encoded is counted where it passes through the model,
and figures that cannot be are not printed, see `possible`.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from helpers import ClipEncoder, draw_demo_images
from helpers.models.acceleration import has_fast_bfloat16
from helpers.models.encoder import fetch

from ..support import models, tutorial
from ..support.processes import ROOT
from . import machine, pictures, possible
from .contenders import CONTENDERS, FACTS, METER, PARTS

PEERS = ("open_clip", "transformers")

COPIES = 16  # of the sample at most, so that start and end count as little as in use
TURN = 4.0  # seconds that a turn lasts at least, unless the copies do not suffice
NAMED = 8  # images that are decoded otherwise; more are only counted


def turn(name: str, job: dict) -> dict:
    """Run a contender here; return images per second and peak memory, and save its vectors."""
    paths, model = [Path(path) for path in job["paths"]], Path(job["model"])
    if name in FACTS:
        return FACTS[name](paths[: job["sample"]], model)
    work = CONTENDERS[name][1](paths, model)
    work(min(8, job["sample"]))  # to warm up
    claimed, seconds = job["sample"], 0.0
    while True:
        before, started = METER.count, time.perf_counter()
        vectors = work(claimed)
        seconds, encoded = time.perf_counter() - started, METER.count - before
        if seconds >= TURN or claimed == len(paths):
            break
        claimed = min(2 * claimed, len(paths))  # a whole number of samples
    if vectors:
        np.save(job["vectors"], vectors()[: job["sample"]])
    rate = encoded / seconds
    memory = machine.peak_megabytes()
    return {"images_per_second": rate, "encoded": encoded, "claimed": claimed, "peak_mb": memory}


def in_a_process(name: str, job: dict) -> dict:
    """Run a contender's turn in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--turn", name]
    done = subprocess.run(
        command, input=json.dumps(job), stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    if done.returncode:
        raise SystemExit(f"{name} failed, see above")
    return json.loads(done.stdout.splitlines()[-1])


def compare(job: dict, names: list[str], rounds: int, scratch: Path) -> dict:
    """Let the contenders take turns; return the median of each figure, and the rates of all."""
    turns: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            if name in FACTS and number:  # these repeat what they measure themselves
                continue
            found = in_a_process(name, job | {"vectors": str(scratch / f"{name}.npy")})
            turns[name].append(found)
            rate = f", {found['images_per_second']:.1f} images/s" if name in CONTENDERS else ""
            print(f"turn {number + 1} of {rounds}: {name}{rate}", file=sys.stderr)
    results = {name: measured[0] for name, measured in turns.items() if name in FACTS}
    for name in CONTENDERS:
        if measured := turns.get(name):
            results[name] = {
                key: statistics.median(one[key] for one in measured) for key in measured[0]
            }
            results[name]["turns"] = [one["images_per_second"] for one in measured]
    for name in results.keys() & CONTENDERS.keys():
        rates = [results[each]["images_per_second"] for each in (name, "tutorial")]
        results[name]["times_the_loop"] = rates[0] / rates[1]
    return results


def parity(results: dict, scratch: Path, originals: list[Path], otherwise: dict[Path, str]) -> dict:
    """Add the lowest cosine with the tutorial's vectors to each way; return what is beside it.

    Only images that both sides decode alike count. `otherwise` has the reasons of the others.
    """
    reference = np.load(scratch / "tutorial.npy")
    alike = np.array([path not in otherwise for path in originals])
    others = [{"name": path.name, "reason": reason} for path, reason in otherwise.items()]
    for name, result in results.items():
        if (saved := scratch / f"{name}.npy").is_file():
            cosines = (np.load(saved) * reference).sum(axis=1)
            if alike.any():
                result["lowest_cosine"] = float(cosines[alike].min())
            for other, value in zip(others, cosines[~alike], strict=True):
                other[name] = float(value)
    apart = (reference @ reference.T)[np.triu_indices(len(reference), 1)]
    found = {"alike": int(alike.sum()), "others": others}
    return found | ({"two_images": float(np.median(apart))} if apart.size else {})


def impossible(results: dict, beside: dict) -> Iterator[str]:
    """Complain about figures that cannot be."""
    for name in results.keys() & CONTENDERS.keys():
        result, title = results[name], _title(name)
        yield from possible.positive(f"the rate of {title}", result["images_per_second"])
        yield from possible.worked(title, result["encoded"], result["claimed"])
        if not math.isnan(result["peak_mb"]):
            yield from possible.positive(f"the memory of {title}", result["peak_mb"])
        if "lowest_cosine" in result:
            yield from possible.cosine(title, result["lowest_cosine"])
        for part in PARTS.get(name, []):
            if part in results:
                turns = result["turns"], results[part]["turns"]
                yield from possible.no_faster(title, turns[0], _title(part), turns[1])
    for other in beside["others"]:
        for name in other.keys() & CONTENDERS.keys():
            yield from possible.cosine(f"{other['name']}, {_title(name)}", other[name])
    yield from _impossible_facts(results)


def _impossible_facts(results: dict) -> Iterator[str]:
    if {"machine", "forward_alone"} <= results.keys():
        found, forward = results["machine"], results["forward_alone"]
        used = [rate * found["gflop_per_image"] / 1000 for rate in forward["turns"]]
        best = found["rates"][found["precision"]]
        yield from possible.no_faster("the forward pass", used, "the matrix product", best)
    if found := results.get("texts"):
        yield from possible.cosine("one query", found["cosine"])
        for name in ("query_tutorial", "query", "query_repeated", "label_clip", "label"):
            yield from possible.positive(f"the time of {name}", found[name])
        yield from possible.no_shorter(
            "a new query", found["query"], "looking it up", found["query_repeated"]
        )
    if found := results.get("large_photos"):
        yield from possible.cosine("large photos", found["cosine"])
        for name in ("whole", "drafted", "megabytes"):
            yield from possible.positive(f"large photos, {name}", found[name])


def _title(name: str) -> str:
    return CONTENDERS[name][0].strip("*")


def table(results: dict, beside: dict) -> str:
    """Return the results as Markdown, with sentences below; refuse what cannot be."""
    possible.refuse(impossible(results, beside))
    lines = [
        "| way | images/s | times the loop | peak memory, MB | lowest cosine |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, (title, _) in CONTENDERS.items():
        if result := results.get(name):
            cosine = f"{result['lowest_cosine']:.5f}" if "lowest_cosine" in result else ""
            rate, times = result["images_per_second"], result["times_the_loop"]
            lines.append(
                f"| {title} | {rate:.1f} | {times:.1f} | {result['peak_mb']:.0f} | {cosine} |"
            )
    said = [*about_parity(beside), *facts(results)]
    return "\n".join([*lines, "", *(f"- {line}" for line in said)])


def about_parity(beside: dict) -> Iterator[str]:
    """Say of which images the cosines are, and name the others with the reason."""
    others, alike = beside["others"], beside["alike"]
    apart = beside.get("two_images")
    compare = f" Two different images have {apart:.5f} (median)." if apart is not None else ""
    yield (
        f"Cosines with the tutorial's vectors are of the {alike} of {alike + len(others)} images "
        f"that both sides decode alike.{compare}"
    )
    if others:
        shown = "; ".join(_other(each) for each in others[:NAMED])
        more = f"; and {len(others) - NAMED} more" if len(others) > NAMED else ""
        yield f"Decoded in another way, as a person sees them, with our cosine: {shown}{more}."


def _other(image: dict) -> str:
    cosines = [image[name] for name in image if name.startswith("ours")]
    value = f" ({min(cosines):.5f})" if cosines else ""
    return f"`{image['name']}`, for {image['reason']}{value}"


def facts(results: dict) -> list[str]:
    """Return, in sentences, what the table cannot hold."""
    lines = []
    rates = {
        name: results[name]["images_per_second"] for name in results.keys() & CONTENDERS.keys()
    }
    if {"forward_alone", "reading_alone", "ours_files_auto", "ours_collection_auto"} <= set(rates):
        forward, reading = rates["forward_alone"], rates["reading_alone"]
        files, ours = rates["ours_files_auto"], rates["ours_collection_auto"]
        estimate = 1 / (1 / forward + 1 / reading)
        limit = max(estimate, files, ours)
        lines.append(
            f"One after the other on the same cores, reading and forward pass would make 1 / "
            f"(1/{forward:.1f} + 1/{reading:.1f}) = {estimate:.1f} images/s, which is an estimate. "
            f"The limit is that or the fastest of our own ways, whichever is larger: {limit:.1f}. "
            f"Files to vectors reaches {files / limit:.0%} of it, folder to collection "
            f"{ours / limit:.0%}."
        )
    if {"machine", "forward_alone"} <= results.keys():
        found, precision = results["machine"], results["machine"]["precision"]
        best, used = found["rates"][precision], rates["forward_alone"] * found["gflop_per_image"]
        listed = ", ".join(f"{rate:.2f} in {name}" for name, rate in found["rates"].items())
        lines.append(
            f"Matrix products here, TFLOP/s at best: {listed}; an image takes "
            f"{found['gflop_per_image']:.1f} GFLOP, so the forward pass runs at {used / 1000:.2f} "
            f"in {precision}, {used / 1000 / best:.0%} of it."
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
            f"(from 2 labels); {ours:.0f} s in ours (from 20), {theirs / ours:.1f} times as fast."
        )
    if found := results.get("large_photos"):
        whole, drafted = 1000 * found["whole"], 1000 * found["drafted"]
        lines.append(
            f"A JPEG of 12 megapixels ({found['megabytes']:.1f} MB) is prepared in {whole:.0f} ms "
            f"when decoded whole, in {drafted:.0f} ms when decoded smaller, "
            f"{whole / drafted:.1f} times as fast; lowest cosine {found['cosine']:.5f}."
        )
    return lines


def ledger(results: dict) -> str:
    """Return the row for the ledger in README.md; other commands tell the empty columns."""
    peers = [results[name]["images_per_second"] for name in results if name.startswith(PEERS)]
    ours = results.get("ours_collection_auto", {})
    loop = f"{ours['times_the_loop']:.1f}" if ours else ""
    best = f"{ours['images_per_second'] / max(peers):.2f}" if ours and peers else ""
    where = f"{machine.processor()} ({machine.features()}), {os.cpu_count()} cores"
    return f"| {machine.today()} | {machine.commit()} | {where} | {loop} | {best} | | | | |"


def suited(names: list[str], precision: str) -> list[str]:
    """Return the ways that say something on this processor, in this precision of "auto".

    Where it does not multiply bfloat16 in hardware, that is slower than float32 for everybody; and
    where "auto" is float32, our ways in float32 are the same once more.
    """
    if not has_fast_bfloat16():
        names = [name for name in names if not name.endswith("_bfloat16")]
    if precision == "float32":
        names = [
            name for name in names if name not in ("ours_files_float32", "ours_collection_float32")
        ]
    return names


def installed(names: list[str]) -> list[str]:
    """Return the ways whose packages are there; say which are not."""
    for peer in PEERS:
        if not find_spec(peer) and any(name.startswith(peer) for name in names):
            print(f'{peer} is left out: pip install -e ".[models]"', file=sys.stderr)
            names = [name for name in names if not name.startswith(peer)]
    return names


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
    about = {"where": machine.heading(), "rounds": options.rounds}
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
        encoder = ClipEncoder(model)
        names = options.only or suited([*CONTENDERS, *FACTS], encoder.precision)
        names = installed(list(dict.fromkeys(["tutorial", *names])))
        sample, left_out = pictures.sample(images, options.sample)
        paths = pictures.copies(sample, scratch / "copies", COPIES)
        otherwise = pictures.decoded_otherwise(sample, tutorial.load(model)[1])
        job = {"paths": [str(path) for path in paths], "sample": len(sample), "model": str(model)}
        results = compare(job, names, options.rounds, scratch)
        beside = parity(results, scratch, sample, otherwise)
    about |= {
        "images": len(sample),
        "left_out": [path.name for path in left_out],
        "model": options.model or "ViT-B/32 with random weights",
        "auto": repr(encoder),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    shown = table(results, beside)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    written = {"about": about, "results": results, "parity": beside}
    options.output.write_text(json.dumps(written, indent=1) + "\n")
    print(
        f"{about['where']}: {about['images']} images, {about['model']}, auto: {about['auto']}, "
        f"median of {about['rounds']} turns.\n\n{shown}"
    )
    if left_out:
        print(f"- Left out, as only we can open them: {', '.join(about['left_out'])}.")
    print(f"\nFor the ledger:\n{ledger(results)}")


if __name__ == "__main__":
    main()
