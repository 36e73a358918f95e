"""The ways of encoding that `benchmark.py` compares, each run in a process of its own.

A contender is prepared before the clock starts and returns the work to be timed: a function of n
that encodes the first n images. That returns None, or a function that returns the vectors, shape
(n, dim), in the order of the paths. `METER` counts what was done meanwhile, whatever was asked.
"""

import atexit
import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from helpers import ClipEncoder, ImageStore, ingest
from helpers.batches import batches, map_batches
from helpers.encoding import unit_vectors
from helpers.images.pictures import load_image

from ..support import tutorial
from . import possible

Work = Callable[[int], Callable[[], np.ndarray] | None]

QUERY = "a white dog on a green lawn"
LABELS = [f"{colour} {thing}" for colour in ("red", "green", "blue", "white", "black", "grey",
          "brown", "pink", "gold", "plain") for thing in ("dog", "cat", "car", "house", "tree",
          "chair", "bird", "boat", "cup", "shoe")]  # fmt: skip
TEMPLATES = [f"a {kind} {medium} of a {{}}" for kind in ("good", "bad", "blurry", "bright", "dark",
             "large", "small", "strange") for medium in ("photo", "drawing", "painting", "sketch",
             "cartoon", "close-up", "toy", "sculpture", "picture", "print")]  # fmt: skip


class Meter:
    """Counts the images and texts that pass through a model, and the files that are read.

    A rate is made of these counts, so that nobody is paid for work that was spared.
    """

    def __init__(self) -> None:
        self.count = 0

    def watch(self, part: torch.nn.Module) -> None:
        """Count what a part of a model is given, in its first argument."""
        part.register_forward_pre_hook(self._add, with_kwargs=True)

    def _add(self, part: torch.nn.Module, args: tuple, named: dict) -> None:
        self.count += len([*args, *named.values()][0])


METER = Meter()


def the_tutorials_loop(paths: list[Path], model: Path) -> Work:
    clip_model, preprocess = _clip(model)

    def work(n):
        vectors = [tutorial.encode_image(clip_model, preprocess, path) for path in paths[:n]]
        return lambda: np.array(vectors)

    return work


def clip_in_batches(paths: list[Path], model: Path) -> Work:
    clip_model, preprocess = _clip(model)
    return _in_batches(clip_model.encode_image, preprocess, paths)


def ours_files_float32(paths: list[Path], model: Path) -> Work:
    return _files_to_vectors(paths, _ours(model, device="cpu", precision="float32"))


def ours_files_auto(paths: list[Path], model: Path) -> Work:
    return _files_to_vectors(paths, _ours(model))


def ours_collection_float32(paths: list[Path], model: Path) -> Work:
    return _folder_to_collection(paths, _ours(model, device="cpu", precision="float32"))


def ours_collection_auto(paths: list[Path], model: Path) -> Work:
    return _folder_to_collection(paths, _ours(model))


def forward_alone(paths: list[Path], model: Path) -> Work:
    encoder = _ours(model)
    few = [encoder.prepare(load_image(path, encoder.edge)) for path in paths[: encoder.batch_size]]

    def work(n):
        for batch in batches(itertools.islice(itertools.cycle(few), n), encoder.batch_size):
            encoder.encode_pixels(torch.stack(batch))

    return work


def reading_alone(paths: list[Path], model: Path) -> Work:
    encoder = ClipEncoder(model)

    def read(path):
        return encoder.prepare(load_image(path, encoder.edge))

    def work(n):
        for batch in map_batches(read, paths[:n], encoder.batch_size, encoder.ahead):
            METER.count += len(batch)

    return work


def open_clip_float32(paths: list[Path], model: Path) -> Work:
    peer, preprocess = _open_clip(model)
    return _in_batches(peer.encode_image, preprocess, paths)


def open_clip_bfloat16(paths: list[Path], model: Path) -> Work:
    peer, preprocess = _open_clip(model)
    photos = Photos(paths, preprocess)
    loader = torch.utils.data.DataLoader(
        photos, batch_size=32, num_workers=os.cpu_count(), persistent_workers=True
    )

    @torch.no_grad()  # in inference mode autocast would convert all weights at every call
    def work(n):
        with torch.autocast("cpu", torch.bfloat16):
            features = [peer.encode_image(pixels) for pixels in loader]
        return lambda: _units(features)

    return work


def transformers_float32(paths: list[Path], model: Path) -> Work:
    return _transformers(paths, model, torch.float32)


def transformers_bfloat16(paths: list[Path], model: Path) -> Work:
    return _transformers(paths, model, torch.bfloat16)


class Photos(torch.utils.data.Dataset):
    def __init__(self, paths: list[Path], preprocess: Callable) -> None:
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.paths[index]))


def _clip(model: Path) -> tuple:
    clip_model, preprocess = tutorial.load(model)
    METER.watch(clip_model.visual)
    return clip_model, preprocess


def _ours(model: Path, **how: str) -> ClipEncoder:
    encoder = ClipEncoder(model, **how)
    METER.watch(encoder.model.visual)
    return encoder


def _units(features: list[torch.Tensor]) -> np.ndarray:
    return unit_vectors(torch.cat(features).float().numpy())


def _in_batches(encode: Callable, preprocess: Callable, paths: list[Path]) -> Work:
    @torch.no_grad()
    def work(n):
        features = []
        for batch in batches(paths[:n], 32):
            features.append(encode(torch.stack([preprocess(Image.open(p)) for p in batch])))
        return lambda: _units(features)

    return work


def _files_to_vectors(paths: list[Path], encoder: ClipEncoder) -> Work:
    def work(n):
        vectors = encoder.encode_images(paths[:n])
        return lambda: vectors

    return work


def _folder_to_collection(paths: list[Path], encoder: ClipEncoder) -> Work:
    scratch, folder = Path(tempfile.mkdtemp(prefix="benchmark")), paths[0].parent
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)

    def work(n):
        with ImageStore(scratch / "milvus.db") as store:
            report = ingest(folder, encoder, store, recreate=True, limit=n, progress=False)
        assert report.inserted == n, report
        return vectors

    def vectors():
        with ImageStore(scratch / "milvus.db") as store:
            rows = {row["filepath"]: row["vector"] for row in store.rows(["filepath", "vector"])}
        return np.array([rows[name] for name in sorted(rows)])

    return work


def _open_clip(model: Path) -> tuple:
    import open_clip

    logging.getLogger().setLevel("ERROR")  # it warns that these weights are random
    peer, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
    peer.load_state_dict(tutorial.load(model)[0].state_dict())
    METER.watch(peer.visual)
    return peer.eval(), preprocess


def _transformers(paths: list[Path], model: Path, dtype: torch.dtype) -> Work:
    import transformers

    peer = transformers.CLIPModel(transformers.CLIPConfig())
    weights = _transformers_names(tutorial.load(model)[0].state_dict())
    missing, unexpected = peer.load_state_dict(weights, strict=False)
    assert not unexpected, unexpected
    assert not [name for name in missing if "vis" in name], missing
    peer = peer.to(dtype).eval()
    METER.watch(peer.vision_model)
    processor = transformers.CLIPImageProcessor()

    def preprocess(image):
        return processor(image, return_tensors="pt")["pixel_values"][0]

    def encode(pixels):
        return peer.get_image_features(pixels.to(dtype)).pooler_output

    return _in_batches(encode, preprocess, paths)


def _transformers_names(weights: dict) -> dict:
    """Return the image half of CLIP's weights under the names that transformers has for them."""
    names = {
        "visual.class_embedding": "embeddings.class_embedding",
        "visual.conv1.weight": "embeddings.patch_embedding.weight",
        "visual.positional_embedding": "embeddings.position_embedding.weight",
        "visual.ln_pre.": "pre_layrnorm.",
        "visual.ln_post.": "post_layernorm.",
        "visual.transformer.resblocks.": "encoder.layers.",
        ".ln_1.": ".layer_norm1.",
        ".ln_2.": ".layer_norm2.",
        ".mlp.c_fc.": ".mlp.fc1.",
        ".mlp.c_proj.": ".mlp.fc2.",
        ".attn.": ".self_attn.",
    }
    renamed = {"visual_projection.weight": weights["visual.proj"].T}
    for name, values in weights.items():
        if not name.startswith("visual.") or name == "visual.proj":
            continue
        for old, new in names.items():
            name = name.replace(old, new)
        if "in_proj_" in name:
            for part, third in zip("qkv", values.chunk(3), strict=True):
                renamed["vision_model." + name.replace("in_proj_", f"{part}_proj.")] = third
        else:
            renamed["vision_model." + name] = values
    return renamed


# name: (title, function)
CONTENDERS: dict[str, tuple[str, Callable[[list[Path], Path], Work]]] = {
    "tutorial": ("the tutorial's loop, float32", the_tutorials_loop),
    "clip_batches": ("clip in batches of 32, float32", clip_in_batches),
    "open_clip_float32": ("open_clip, batches of 32, float32", open_clip_float32),
    "open_clip_bfloat16": ("open_clip, DataLoader, bfloat16", open_clip_bfloat16),
    "transformers_float32": ("transformers, batches of 32, float32", transformers_float32),
    "transformers_bfloat16": ("transformers, batches of 32, bfloat16", transformers_bfloat16),
    "ours_files_float32": ("ours, float32, files to vectors", ours_files_float32),
    "ours_collection_float32": ("ours, float32, folder to collection", ours_collection_float32),
    "ours_files_auto": ("ours, auto, files to vectors", ours_files_auto),
    "ours_collection_auto": ("**ours, auto, folder to collection**", ours_collection_auto),
    "forward_alone": ("our forward pass alone, auto", forward_alone),
    "reading_alone": ("our reading and scaling alone", reading_alone),
}

# What each way does among other things, so that it cannot be faster.
PARTS = {
    "ours_files_float32": ["reading_alone"],
    "ours_collection_float32": ["reading_alone", "ours_files_float32"],
    "ours_files_auto": ["reading_alone", "forward_alone"],
    "ours_collection_auto": ["reading_alone", "forward_alone", "ours_files_auto"],
}


def texts(paths: list[Path], model: Path) -> dict[str, float]:
    """Return seconds for one query, new and repeated, and for one label with templates."""
    clip_model, _ = tutorial.load(model)
    encoder = ClipEncoder(model)
    for each in (clip_model, encoder.model):
        METER.watch(each.token_embedding)

    def new(texts, templates=("{}",)):
        encoder._texts.clear()
        return encoder.encode_texts(texts, templates)

    @torch.no_grad()
    def a_label_at_a_time(labels):  # as in CLIP's own notebook
        for label in labels:
            tokens = tutorial.clip.tokenize([template.format(label) for template in TEMPLATES])
            features = clip_model.encode_text(tokens)
            (features / features.norm(dim=-1, keepdim=True)).mean(dim=0)

    few, some, n = LABELS[:2], LABELS[:20], len(TEMPLATES)  # enough for the slow way, and for ours
    return {
        "query_tutorial": _seconds(lambda: tutorial.encode_text(clip_model, QUERY), 10, 1),
        "query": _seconds(lambda: new([QUERY]), 20, 1),
        "query_repeated": _seconds(lambda: encoder.encode_texts([QUERY]), 100),
        "cosine": float(np.array(tutorial.encode_text(clip_model, QUERY)) @ new([QUERY])[0]),
        "label_clip": _seconds(lambda: a_label_at_a_time(few), 1, len(few) * n) / len(few),
        "label": _seconds(lambda: new(some, TEMPLATES), 1, len(some) * n) / len(some),
    }


def large_photos(paths: list[Path], model: Path) -> dict[str, float]:
    """Return seconds to prepare 12-megapixel JPEGs, with and without decoding them smaller."""
    encoder = ClipEncoder(model)
    with tempfile.TemporaryDirectory() as scratch:
        large = [_enlarge(path, Path(scratch, f"{n}.jpg")) for n, path in enumerate(paths[:6])]
        megabytes = sum(path.stat().st_size for path in large) / len(large) / 1e6

        def prepare(edge=None):
            return [encoder.prepare(load_image(path, edge)) for path in large]

        pixels = prepare(), prepare(encoder.edge)
        whole, drafted = (encoder.encode_pixels(torch.stack(each)) for each in pixels)
        return {
            "megabytes": megabytes,
            "whole": _seconds(prepare, 3) / len(large),
            "drafted": _seconds(lambda: prepare(encoder.edge), 3) / len(large),
            "cosine": float((whole * drafted).sum(axis=1).min()),
        }


def _enlarge(path: Path, to: Path) -> Path:
    """Save a photo as 12 megapixels, with noise like a sensor's, so that its file is as large."""
    pixels = np.asarray(load_image(path).resize((4000, 3000), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, 8, pixels.shape)
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(to, quality=90)
    return to


def machine(paths: list[Path], model: Path) -> dict[str, object]:
    """Return the rates of matrix products (TFLOP/s) and the model's work for an image (GFLOP).

    The rates are the best of many, in float32 and in the precision of "auto", where that runs.
    """
    from torch.utils.flop_counter import FlopCounterMode

    encoder = ClipEncoder(model, device="cpu", precision="float32")
    with FlopCounterMode(display=False) as counter:
        encoder.encode_images(paths[:1])
    auto = ClipEncoder(model)
    rates = {name: _products(name, auto.device) for name in ("float32", auto.precision)}
    gflop = counter.get_total_flops() / 1e9
    return {"precision": auto.precision, "rates": rates, "gflop_per_image": gflop}


def _products(precision: str, device: str) -> float:
    """Return TFLOP/s of products as large as those of ViT-B/32 with a batch of 64."""
    dtype = getattr(torch, precision)
    rows, weights = (torch.randn(n, 768, dtype=dtype, device=device) for n in (3200, 3072))

    def multiply():
        torch.nn.functional.linear(rows, weights)[0, 0].item()  # waits for a graphics card

    return 2 * 3200 * 768 * 3072 / min(_times(multiply, 20)) / 1e12


FACTS = {"texts": texts, "large_photos": large_photos, "machine": machine}


def _seconds(work: Callable[[], object], times: int, texts: int | None = None) -> float:
    """Return the median time of so many runs; with `texts`, each has to encode so many."""
    work()
    before = METER.count
    taken = _times(work, times)
    if texts:
        possible.refuse(possible.worked("texts encoded", METER.count - before, texts * times))
    return float(np.median(taken))


def _times(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken
