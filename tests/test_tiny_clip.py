"""What the tiny CLIP of the demo profile must be able to do, on drawings it has never seen."""

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from helpers.demo.drawings import draw_demo_images

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import clip

DEMO = Path(__file__).parents[1] / "data" / "demo"
CHECKPOINT = DEMO.parents[1] / "helpers" / "demo" / "tiny-clip.pt"
SEED = 4711  # neither the training's nor the one its figures were measured with


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The training script as a module."""
    spec = importlib.util.spec_from_file_location("train_tiny_clip", DEMO / "train_tiny_clip.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model_and_preprocess():
    """What `clip.load` makes of the checkpoint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clip.load(str(CHECKPOINT), device="cpu", jit=False)


@pytest.fixture(scope="module")
def encode_texts(model_and_preprocess):
    """Texts to unit vectors."""
    model, _ = model_and_preprocess

    @torch.inference_mode()
    def encode(texts: list[str]) -> np.ndarray:
        return normalize(model.encode_text(clip.tokenize(texts))).numpy()

    return encode


@pytest.fixture(scope="module")
def drawings(model_and_preprocess, tmp_path_factory) -> tuple[np.ndarray, pd.DataFrame]:
    """Unit vectors of 1,000 fresh drawings, and their list."""
    model, preprocess = model_and_preprocess
    folder = tmp_path_factory.mktemp("drawings")
    table = draw_demo_images(folder, 1000, SEED)
    pictures = torch.stack([preprocess(Image.open(folder / name)) for name in table["filepath"]])
    with torch.inference_mode():
        return normalize(model.encode_image(pictures)).numpy(), table


@pytest.fixture(scope="module")
def figures(script, drawings, encode_texts) -> pd.DataFrame:
    """The evaluation's figures."""
    return script.evaluate(*drawings, encode_texts)


def test_the_checkpoint_is_a_small_clip_with_the_usual_texts(model_and_preprocess):
    model, _ = model_and_preprocess
    assert CHECKPOINT.stat().st_size < 12_000_000
    assert (model.context_length, model.vocab_size) == (77, 49408)
    assert model.logit_scale.exp() <= 100.1
    assert all(torch.isfinite(weights).all() for weights in model.parameters())


@pytest.mark.parametrize(
    ("kind", "measure", "floor"),
    [
        ("colour and object", "precision_at_1", 0.98),
        ("colour and object", "r_precision", 0.95),
        ("object", "r_precision", 0.95),
        ("caption", "precision_at_1", 0.95),
        ("colour", "r_precision", 0.90),
        ("label", "r_precision", 0.95),
        ("count", "r_precision", 0.90),
    ],
)
def test_texts_find_fresh_drawings(figures, kind, measure, floor):
    assert figures.loc[kind, measure] >= floor


def test_words_it_has_never_seen_score_lower_than_what_is_there(script, drawings, encode_texts):
    images, table = drawings
    _, unseen = script.strange_words()
    there = [f"a photo of a {name}" for name in table["object"].unique()]
    strange = [f"a photo of a {word}" for word in unseen[::60]]
    best_there = (encode_texts(there) @ images.T).max(axis=1)
    best_strange = (encode_texts(strange) @ images.T).max(axis=1)
    assert len(strange) > 100
    assert (best_strange < best_there.min()).mean() > 0.9


def test_each_drawing_is_nearer_to_its_caption_than_to_most_others(drawings, encode_texts):
    images, table = drawings
    scores = images @ encode_texts(list(table["caption"])).T
    assert np.mean(scores.argmax(axis=1) == np.arange(len(table))) >= 0.9


def test_most_drawings_have_a_nearest_neighbour_with_their_label(drawings):
    images, table = drawings
    cosines = images @ images.T - 2 * np.eye(len(images))
    labels = table["label"].to_numpy()
    assert np.mean(labels[cosines.argmax(axis=1)] == labels) > 0.8


def test_the_measures_are_right_on_a_case_done_by_hand(script):
    labels = ["red star", "red star", "blue fish", "blue fish"]
    table = pd.DataFrame(
        {
            "label": labels,
            "object": [label.split()[1] for label in labels],
            "colour": [label.split()[0] for label in labels],
            "count": 1,
            "caption": ["one", "two", "three", "four"],
        }
    )
    images = np.array([[1, 0], [0.6, 0.8], [0.8, 0.6], [0, 1]])

    def encode_texts(texts: list[str]) -> np.ndarray:
        return np.array([[1, 0] if "star" in text else [0, 1] for text in texts])

    row = script.evaluate(images, table, encode_texts).loc["object"]
    assert (row["queries"], row["precision_at_1"], row["r_precision"]) == (2, 1.0, 0.5)


def test_a_caption_matches_the_drawings_of_which_it_is_true(script):
    drawings = torch.tensor([[0, 0, 1, 9], [0, 0, 3, 9], [1, 0, 3, 8]])
    open_count, several, exact = [0, -1, -1, -1], [0, 0, -2, -1], [1, 0, 3, 8]
    true = script.matches(drawings, torch.tensor([open_count, several, exact]))
    expected = [[True, False, False], [True, True, False], [False, False, True]]
    assert true.tolist() == expected
