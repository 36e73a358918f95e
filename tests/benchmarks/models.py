"""Compare the models of the README's table, ours beside open_clip: `make models`.

The weights are random, and speed and memory do not depend on them. Every way runs in a process of
its own, and they take turns; the median of the turns counts. The largest difference of any entry
of a vector is measured in float32, on images that both decode alike: open_clip ignores a photo's
orientation and colour profile. Figures that cannot be are not printed, see `possible`.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers import ClipEncoder, draw_demo_images
from helpers.models.acceleration import has_fast_bfloat16

from ..support import models
from ..support.processes import ROOT
from . import machine, pictures, possible
from .contenders import METER, Photos

MODELS = {
    "ViT-B/32": "ViT-B-32-quickgelu/openai",  # OpenAI's, as open_clip calls it
    "open_clip:ViT-B-32-256/datacomp_s34b_b86k": "ViT-B-32-256/datacomp_s34b_b86k",
    "hf-hub:timm/ViT-B-32-SigLIP2-256": "ViT-B-32-SigLIP2-256/webli",
    "hf-hub:timm/ViT-B-16-SigLIP2": "ViT-B-16-SigLIP2/webli",
}
TEXTS = ["a white dog", "two blue fish on a yellow sofa", "star"]
LEAST = 2.0  # seconds that a turn lasts at least


def ours(paths: list[Path], folder: Path) -> Callable[[], object]:
    """Return our way from files to vectors."""
    encoder = ClipEncoder(f"local-dir:{folder}")
    METER.watch(encoder.model.visual)
    return lambda: encoder.encode_images(paths)


def peer(precision: str, in_processes: bool) -> Callable[[list[Path], Path], Callable]:
    """Return open_clip's way, in one of its precisions, with a DataLoader in processes or not."""

    def prepared(paths: list[Path], folder: Path) -> Callable[[], object]:
        module, preprocess = _opened(folder, precision)
        METER.watch(module.visual)
        workers = {"num_workers": os.cpu_count(), "persistent_workers": True}
        photos = Photos(paths, preprocess)
        loader = torch.utils.data.DataLoader(photos, 32, **(workers if in_processes else {}))
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16

        @torch.inference_mode()
        def work() -> None:
            for pixels in loader:
                module.encode_image(pixels.to(dtype), normalize=True)

        return work

    return prepared


WAYS = {
    "ours": ours,
    "fp32": peer("fp32", in_processes=False),
    "fp32, DataLoader": peer("fp32", in_processes=True),
    "bf16": peer("bf16", in_processes=False),
    "bf16, DataLoader": peer("bf16", in_processes=True),
    "pure_bf16, DataLoader": peer("pure_bf16", in_processes=True),
}


def turn(way: str, paths: list[Path], folder: Path) -> dict[str, float]:
    """Return images per second, from files to vectors, and the peak of this process's memory."""
    work = WAYS[way](paths, folder)
    work()  # to warm up
    rounds, before, started = 0, METER.count, time.perf_counter()
    while time.perf_counter() - started < LEAST:
        work()
        rounds += 1
    seconds, encoded = time.perf_counter() - started, METER.count - before
    return {
        "images_per_second": encoded / seconds,
        "encoded": encoded / rounds,
        "claimed": len(paths),
        "peak_mb": machine.peak_megabytes(),
    }


@torch.inference_mode()
def difference(paths: list[Path], folder: Path) -> dict[str, float]:
    """Return the largest difference of any entry of our vectors and open_clip's, in float32."""
    import open_clip

    module, preprocess = _opened(folder, "fp32")
    encoder = ClipEncoder(f"local-dir:{folder}", device="cpu", precision="float32")
    otherwise = pictures.decoded_otherwise(paths, preprocess)
    plain = [path for path in paths if path not in otherwise][:8]
    if not plain:
        raise SystemExit("both decode none of these images alike, so no vectors are compared")
    pixels = torch.stack([preprocess(Image.open(path)) for path in plain])
    texts = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    images = module.encode_image(pixels, normalize=True).numpy() - encoder.encode_images(plain)
    words = module.encode_text(texts, normalize=True).numpy() - encoder.encode_texts(TEXTS)
    found = {"images": float(np.abs(images).max()), "texts": float(np.abs(words).max())}
    return found | {"compared": len(plain), "otherwise": len(otherwise)}


def _opened(folder: Path, precision: str) -> tuple:
    import open_clip

    name = f"local-dir:{folder}"
    return open_clip.create_model_from_pretrained(name, precision=precision)


def _in_a_process(job: str, paths: list[Path], folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name, "--job", job, "--folder", str(folder)]
    names = json.dumps([str(path) for path in paths])
    answer = subprocess.run(command, input=names, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if answer.returncode:
        raise SystemExit(f"{folder.name}, {job} failed, see above")
    return json.loads(answer.stdout.splitlines()[-1])


def compare(paths: list[Path], folder: Path, rounds: int, peers: bool = True) -> dict:
    """Let all ways take turns with one model; return medians, differences and the file's size."""
    theirs = [way for way in WAYS if way != "ours" and ("bf16" in way) == has_fast_bfloat16()]
    ways = ["ours", *(theirs if peers else [])]
    turns: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            turns[way].append(_in_a_process(way, paths, folder))
            print(f"{folder.name}, {way}: {turns[way][-1]}", file=sys.stderr)
    medians = {
        way: {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        for way, measured in turns.items()
    }
    size = (folder / "open_clip_model.safetensors").stat().st_size / 1e6
    return {"ways": medians, "megabytes": size, **_in_a_process("difference", paths, folder)}


def impossible(results: dict[str, dict]) -> Iterator[str]:
    """Complain about figures that cannot be."""
    for name, found in results.items():
        for way, turns in found["ways"].items():
            title = f"{name}, {way}"
            yield from possible.positive(f"the rate of {title}", turns["images_per_second"])
            yield from possible.worked(title, turns["encoded"], turns["claimed"])
            if not math.isnan(turns["peak_mb"]):
                yield from possible.positive(f"the memory of {title}", turns["peak_mb"])
        yield from possible.positive(f"the size of {name}", found["megabytes"])
        for of in ("images", "texts"):  # entries of unit vectors
            yield from possible.within(f"the difference of {name}, {of},", found[of], 0, 2)


def table(results: dict[str, dict]) -> str:
    """Return the results as Markdown; refuse what cannot be."""
    possible.refuse(impossible(results))
    lines = [
        "| model | weights, MB | images/s | peak memory, MB | open_clip's best way, images/s | "
        "ours / open_clip | largest difference: images, texts |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in results.items():
        rates = {way: turns["images_per_second"] for way, turns in found["ways"].items()}
        rate, best = rates.pop("ours"), max(rates, key=rates.get, default="")
        beside = f"{rates[best]:.1f} ({best}) | {rate / rates[best]:.2f}" if best else " |"
        lines.append(
            f"| `{name}` | {found['megabytes']:.0f} | {rate:.1f} | "
            f"{found['ways']['ours']['peak_mb']:.0f} | {beside} | "
            f"{found['images']:.0e}, {found['texts']:.0e} |"
        )
    return "\n".join(lines)


def about_parity(results: dict[str, dict], left_out: list[str]) -> str:
    """Say how many images the differences are of, and what was left out."""
    compared, otherwise = (
        max((found[of] for found in results.values()), default=0)
        for of in ("compared", "otherwise")
    )
    unread = f" Left out, as only we can open them: {', '.join(left_out)}." if left_out else ""
    return (
        f"Differences are of {compared} images that both decode alike; "
        f"{otherwise} others are decoded otherwise.{unread}"
    )


def main() -> None:
    """Measure, print the table, write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder; by default drawings are made")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS], metavar="NAME")
    parser.add_argument("--sample", type=int, default=64, help="how many images of the folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="measure ours only")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "models.json")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        paths = [Path(name) for name in json.load(sys.stdin)]
        job = difference if options.job == "difference" else lambda *a: turn(options.job, *a)
        print(json.dumps(job(paths, options.folder)))
        return
    where = machine.heading()
    with tempfile.TemporaryDirectory() as scratch:
        images = options.images or Path(scratch, "drawings")
        if not options.images:
            draw_demo_images(images, n=-(-options.sample // 10) * 10)  # ten a class
        paths, left_out = pictures.sample(images, options.sample)
        results = {}
        for number, name in enumerate(options.models):
            folder = models.save_published(Path(scratch, f"{number}"), MODELS[name])
            results[name] = compare(paths, folder, options.rounds, not options.alone)
            (folder / "open_clip_model.safetensors").unlink()  # some take gigabytes
    shown = table(results)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"where": where, "results": results}, indent=1) + "\n")
    print(f"{where}: {len(paths)} images, random weights, median of {options.rounds} turns.\n")
    print(f"{shown}\n\n- {about_parity(results, [path.name for path in left_out])}")


if __name__ == "__main__":
    main()
