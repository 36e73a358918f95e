"""Train the demo profile's tiny CLIP on drawings that this project makes itself.

The network is openai/CLIP's own class in a very small size, so `clip.load` opens the result like
any published checkpoint. It learns only from `helpers.demo.drawings`: it knows the colours,
objects, counts and backgrounds of those drawings, and no photograph.

Run it from the project's root::

    python data/demo/train_tiny_clip.py
"""

import argparse
import math
import random
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.nn import functional

from helpers.demo import drawings
from helpers.demo.drawings import (
    BACKGROUNDS,
    COLOURS,
    COUNTS,
    OBJECTS,
    caption,
    draw,
    draw_demo_images,
    phrase,
    plural,
    with_article,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which is deprecated
    import clip
    from clip.model import CLIP
    from clip.simple_tokenizer import SimpleTokenizer

__all__ = ["evaluate", "queries", "train"]

CHECKPOINT = Path(drawings.__file__).with_name("tiny-clip.pt")
RESOLUTION = 96
TOKENS = 20
"""Captions are cut here in training; the mask is causal, so this changes no embedding."""
CONTEXT = 77
VOCABULARY = 49408
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
"""The pixel statistics of CLIP's own preprocessing."""

ANY, SEVERAL = -1, -2
"""What a caption leaves open: any value matches, or any count above one."""

FRAMES = (
    *["{}"] * 9,
    "{}.",
    "a photo of {}",
    "a photo of {}.",
    "a picture of {}",
    "a drawing of {}",
    "an image of {}",
    "an illustration of {}",
    "a painting of {}",
    "a bad photo of {}.",
    "a small drawing of {}",
    "a photo of the {}",
    "a drawing of the {}.",
    "art of the {}.",
)


# Drawings


def draw_pool(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw and return random pictures, in two processes.

    Returns
    -------
    pixels : torch.Tensor
        uint8, shape (n, 3, 96, 96), resized as CLIP's preprocessing does.
    codes : torch.Tensor
        int64, shape (n, 4), in the order object, colour, count, background: the count as it
        is, the others as positions in their lists.
    """
    with ProcessPoolExecutor(2) as pool:
        parts = list(pool.map(_draw_part, [(seed, part, n // 100) for part in range(100)]))
    pixels, codes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(codes)


def _draw_part(job: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw one hundredth of a pool."""
    seed, part, n = job
    rng = np.random.default_rng([seed, part])
    pairs = [_random_drawing(rng) for _ in range(n)]
    return np.stack([pixels for pixels, _ in pairs]), np.array([codes for _, codes in pairs])


def _random_drawing(rng: np.random.Generator) -> tuple[np.ndarray, list[int]]:
    """Draw any object in any two colours; return the picture and its codes."""
    thing, colour = int(rng.integers(len(OBJECTS))), int(rng.integers(len(COLOURS)))
    count = int(rng.choice([1, 2, 3, 4], p=[0.4, 0.2, 0.2, 0.2]))
    names = list(BACKGROUNDS)
    ground = int(rng.choice([i for i, name in enumerate(names) if name != list(COLOURS)[colour]]))
    words = OBJECTS[thing], list(COLOURS)[colour], count, names[ground]
    picture = draw(*words, rng, size=2 * RESOLUTION)
    small = picture.resize((RESOLUTION, RESOLUTION), Image.Resampling.BICUBIC)
    return np.asarray(small), [thing, colour, count, ground]


# Captions


def describe(codes: Sequence[int], chance: random.Random) -> list[tuple[str, list[int]]]:
    """Return one detailed and one general caption of a drawing.

    Returns
    -------
    list of (str, list of int)
        Each caption with what it states, coded like the drawing; `ANY` or `SEVERAL` elsewhere.
    """
    detailed = _full if chance.random() < 0.6 else _class
    general = chance.choices(
        [_class, _object, _colour, _many, _object_on, _counted, _ground], [5, 6, 4, 3, 3, 2, 1]
    )[0]
    pairs = [write(*codes, chance) for write in (detailed, general)]
    return [(chance.choice(FRAMES).format(text), stated) for text, stated in pairs]


def _full(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "a red star on a white background"."""
    text = caption(OBJECTS[thing], list(COLOURS)[colour], count, list(BACKGROUNDS)[ground])
    return text, [thing, colour, count, ground]


def _class(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "a red star", "red star", "one red star" or "two red stars"."""
    text = phrase(OBJECTS[thing], list(COLOURS)[colour], count)
    if count == 1:
        text = chance.choice([text, with_article(text), with_article(text), f"one {text}"])
    return text, [thing, colour, count, ANY]


def _many(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "red stars", or what `_class` writes if there is one."""
    if count == 1 or plural(OBJECTS[thing]) == OBJECTS[thing]:
        return _class(thing, colour, count, ground, chance)
    return f"{list(COLOURS)[colour]} {plural(OBJECTS[thing])}", [thing, colour, SEVERAL, ANY]


def _object(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "star", "a star" or "stars"."""
    name = OBJECTS[thing]
    if count > 1 and plural(name) != name and chance.random() < 0.4:
        return plural(name), [thing, ANY, SEVERAL, ANY]
    return chance.choice([name, with_article(name)]), [thing, ANY, ANY, ANY]


def _colour(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "red" or "something red"."""
    name = list(COLOURS)[colour]
    return chance.choice([name, name, f"something {name}"]), [ANY, colour, ANY, ANY]


def _object_on(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "a star on a white background"."""
    ends = with_article(list(BACKGROUNDS)[ground])
    return f"{with_article(OBJECTS[thing])} on {ends} background", [thing, ANY, ANY, ground]


def _counted(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "one star" or "two stars"."""
    name = OBJECTS[thing] if count == 1 else plural(OBJECTS[thing])
    return f"{COUNTS[count]} {name}", [thing, ANY, count, ANY]


def _ground(thing: int, colour: int, count: int, ground: int, chance: random.Random):
    """Write "a white background"."""
    return f"{with_article(list(BACKGROUNDS)[ground])} background", [ANY, ANY, ANY, ground]


def matches(drawings: torch.Tensor, stated: torch.Tensor) -> torch.Tensor:
    """Return which captions are true of which drawings.

    Parameters
    ----------
    drawings, stated : torch.Tensor
        int64, shapes (n, 4) and (m, 4), coded as by `draw_pool` and `describe`.

    Returns
    -------
    torch.Tensor
        bool, shape (n, m).
    """
    drawing, said = drawings[:, None], stated[None]
    several = (said == SEVERAL) & (drawing > 1)
    return ((said == ANY) | several | (said == drawing)).all(dim=2)


def strange_words() -> tuple[list[str], list[str]]:
    """Return words of CLIP's vocabulary that no drawing shows.

    Returns
    -------
    used, unseen : list of str
        Every fifth word is left out of training, so that the model has never seen it.
    """
    texts = [
        " ".join([*COLOURS, *COUNTS.values(), *OBJECTS, *FRAMES]),
        "something on one background",
    ]
    known = set(" ".join([*texts, *map(plural, OBJECTS)]).replace(".", "").split())
    words = [token.removesuffix("</w>") for token in SimpleTokenizer().encoder if "</w>" in token]
    strange = [word for word in words if re.fullmatch("[a-z]{3,}", word) and word not in known]
    return [word for place, word in enumerate(strange) if place % 5], strange[::5]


# Training


def tiny_clip() -> CLIP:
    """Return CLIP in the smallest size that learns the drawings, for short captions."""
    return CLIP(
        embed_dim=128,
        image_resolution=RESOLUTION,
        vision_layers=(1, 1, 1, 1),
        vision_width=16,
        vision_patch_size=None,
        context_length=TOKENS,
        vocab_size=VOCABULARY,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=2,
    )


def train(steps: int, pool_size: int, seed: int) -> CLIP:
    """Train and return a tiny CLIP.

    Parameters
    ----------
    steps : int
        Batches of 192 drawings.
    pool_size : int
        How many different drawings to learn from.
    seed : int
        Decides the drawings, the captions and the initial weights.

    Returns
    -------
    clip.model.CLIP
        In float32, for captions of at most `TOKENS` tokens.
    """
    torch.manual_seed(seed)
    started = time.perf_counter()
    pixels, codes = draw_pool(pool_size, seed)
    print(f"{len(pixels):,} drawings in {time.perf_counter() - started:.0f} s", flush=True)
    model = tiny_clip().train().to(memory_format=torch.channels_last)
    batches = _Batches(pixels, codes, seed)
    optimizer = torch.optim.AdamW(_parameter_groups(model), betas=(0.9, 0.98), eps=1e-6)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.08)
    for step in range(1, steps + 1):
        loss = _loss(model, *batches.next())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        if step % 100 == 0 or step == steps:
            spent = time.perf_counter() - started
            scale = model.logit_scale.exp().item()
            print(f"step {step:5} loss {loss:.3f} scale {scale:.0f} {spent:.0f} s", flush=True)
    return model.eval()


def _parameter_groups(model: CLIP) -> list[dict]:
    """Return groups: only the weights of layers decay, not biases, norms and embeddings."""
    named = list(model.named_parameters())
    decayed = [p for name, p in named if p.ndim > 1 and "embedding" not in name]
    others = [p for name, p in named if p.ndim < 2 or "embedding" in name]
    return [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]


class _Batches:
    """Batches in which drawings of the same object and colour come in fours, hard to tell apart."""

    groups, fellows, strangers = 48, 4, 24

    def __init__(self, pixels: torch.Tensor, codes: torch.Tensor, seed: int) -> None:
        self.pixels, self.codes = pixels, codes
        self.chance = random.Random(seed)
        self.words, _ = strange_words()
        table = pd.DataFrame(codes.numpy())
        self.members = [list(index) for index in table.groupby([0, 1]).indices.values()]

    def next(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pixels, tokens and which of them match."""
        groups = self.chance.sample(self.members, self.groups)
        rows = [row for group in groups for row in self.chance.sample(group, self.fellows)]
        pairs = [pair for row in rows for pair in describe(self.codes[row].tolist(), self.chance)]
        texts = [text for text, _ in pairs]
        true = matches(self.codes[rows], torch.tensor([stated for _, stated in pairs]))
        strange = [self._strange() for _ in range(self.strangers)]
        never = torch.zeros(len(rows), self.strangers, dtype=torch.bool)
        tokens = clip.tokenize(texts + strange, context_length=TOKENS)
        return self._images(rows), tokens, torch.cat([true, never], dim=1)

    def _strange(self) -> str:
        """Return a text about something that no drawing shows."""
        word = self.chance.choice(self.words)
        return self.chance.choice(FRAMES).format(self.chance.choice([word, with_article(word)]))

    def _images(self, rows: list[int]) -> torch.Tensor:
        """Normalise pixels as CLIP does, and shift them a little."""
        shift = self.chance.randint(-3, 3), self.chance.randint(-3, 3)
        images = (self.pixels[rows].float() / 255 - MEAN) / DEVIATION
        return images.roll(shift, dims=(2, 3)).contiguous(memory_format=torch.channels_last)


def _loss(
    model: CLIP, images: torch.Tensor, tokens: torch.Tensor, true: torch.Tensor
) -> torch.Tensor:
    """Return CLIP's symmetric loss, its target shared among all that match; 0 is perfect."""
    logits, _ = model(images, tokens)
    answered = true.any(dim=0)  # no drawing shows the strange words
    return (_divergence(logits, true) + _divergence(logits[:, answered].T, true[:, answered].T)) / 2


def _divergence(logits: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of the softmax from equal shares of all matches."""
    shares = true / true.sum(dim=1, keepdim=True)
    return functional.kl_div(logits.log_softmax(dim=1), shares, reduction="batchmean")


def save(model: CLIP, path: Path) -> None:
    """Write the weights as float16, with CLIP's full context length."""
    weights = dict(model.state_dict())
    spare = 0.01 * torch.randn(CONTEXT - TOKENS, 64, generator=torch.Generator().manual_seed(0))
    weights["positional_embedding"] = torch.cat([weights["positional_embedding"], spare])
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    torch.save(halves, path)


# Evaluation


def queries(table: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Return queries that have an answer among some drawings.

    Parameters
    ----------
    table : pandas.DataFrame
        As `helpers.demo.drawings.draw_demo_images` returns it.

    Returns
    -------
    dict of dict
        For each kind of query, its texts with the right answers as a boolean array over the rows.
    """
    single = table[table["count"] == 1]
    kinds = {
        "colour and object": {with_article(x): table["label"] == x for x in single["label"]},
        "object": {with_article(x): table["object"] == x for x in table["object"]},
        "caption": {x: table["caption"] == x for x in table["caption"]},
        "colour": {x: table["colour"] == x for x in table["colour"]},
        "label": {x: table["label"] == x for x in table["label"]},
        "count": {
            f"{COUNTS[n]} {plural(x)}": (table["object"] == x) & (table["count"] == n)
            for x, n in zip(table["object"], table["count"], strict=True)
            if n > 1
        },
    }
    answered = {kind: right for kind, right in kinds.items() if right}
    return {
        kind: {text: np.array(rows) for text, rows in right.items()}
        for kind, right in answered.items()
    }


def evaluate(
    image_embeddings: np.ndarray,
    table: pd.DataFrame,
    encode_texts: Callable[[list[str]], np.ndarray],
) -> pd.DataFrame:
    """Return how well texts find drawings.

    Parameters
    ----------
    image_embeddings : numpy.ndarray
        Unit vectors, one for each row of the table.
    table : pandas.DataFrame
        As `helpers.demo.drawings.draw_demo_images` returns it.
    encode_texts : callable
        Turns a list of texts into unit vectors.

    Returns
    -------
    pandas.DataFrame
        For each kind of query: how many there are, their mean precision at 1, and their mean
        R-precision: the share of right answers among the first R, where R answers are right.
    """
    figures = {}
    for kind, answers in queries(table).items():
        order = np.argsort(-(encode_texts(list(answers)) @ image_embeddings.T), axis=1)
        found = [right[ranks] for right, ranks in zip(answers.values(), order, strict=True)]
        figures[kind] = {
            "queries": len(found),
            "precision_at_1": np.mean([hits[0] for hits in found]),
            "r_precision": np.mean([hits[: hits.sum()].mean() for hits in found]),
        }
    return pd.DataFrame.from_dict(figures, orient="index")


def evaluate_checkpoint(path: Path, seed: int) -> pd.DataFrame:
    """Open a checkpoint with `clip.load` and evaluate it on 1,000 drawings of a seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load, tried first, is deprecated
        model, preprocess = clip.load(str(path), device="cpu", jit=False)

    @torch.inference_mode()
    def encode_texts(texts: list[str]) -> np.ndarray:
        return functional.normalize(model.encode_text(clip.tokenize(texts))).numpy()

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        table = draw_demo_images(folder, 1000, seed)
        pictures = [preprocess(Image.open(Path(folder, name))) for name in table["filepath"]]
        images = functional.normalize(model.encode_image(torch.stack(pictures))).numpy()
    return evaluate(images, table, encode_texts)


def main() -> None:
    """Train, save and evaluate."""
    parser = argparse.ArgumentParser(description="Train the demo profile's tiny CLIP.")
    parser.add_argument("--steps", type=int, default=2400, help="batches of 192 drawings")
    parser.add_argument("--pool", type=int, default=40_000, help="how many drawings to learn from")
    parser.add_argument("--seed", type=int, default=20_000, help="seed of the training")
    parser.add_argument(
        "--out", type=Path, default=Path(drawings.__file__).with_name("tiny-clip.pt")
    )
    parser.add_argument(
        "--test-seed", type=int, default=1, help="seed of the drawings to test with"
    )
    options = parser.parse_args()
    torch.set_num_threads(2)
    started = time.perf_counter()
    save(train(options.steps, options.pool, options.seed), options.out)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    print(f"{options.out.stat().st_size / 1e6:.1f} MB")
    print(evaluate_checkpoint(options.out, options.test_seed).round(4))


if __name__ == "__main__":
    main()
