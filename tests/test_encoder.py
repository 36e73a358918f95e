import os
from pathlib import Path

import clip
import numpy as np
import pytest
import torch
from PIL import Image, ImageColor, ImageOps
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from helpers import ClipEncoder, ingest, list_images, load_image, search
from helpers.models import encoder as encoder_module
from helpers.models.encoder import fetch, not_too_long

from .support import models
from .support.tutorial import cosines_with_the_tutorial

LOWEST = {"float32": 0.99999, "bfloat16": 0.999}  # cosine with the tutorial's vectors


@pytest.mark.parametrize("precision", LOWEST)
def test_the_tiny_model_agrees_with_the_tutorials_functions(drawings, photos, precision):
    ours = ClipEncoder("tiny", device="cpu", precision=precision)
    images = [*list_images(drawings)[::5], *photos]
    cosines = cosines_with_the_tutorial(ours, fetch("tiny"), images)
    assert cosines.min() > LOWEST[precision]


def test_a_model_of_full_width_agrees_with_the_tutorials_functions(drawings, photos, tmp_path):
    """As a state dict in float32; in `test_openai` as OpenAI's archive in bfloat16."""
    path = models.save_random_clip(tmp_path / "vit.pt", models.SHALLOW)
    ours = ClipEncoder(path, device="cpu", precision="float32")
    assert (ours.dim, ours.name) == (512, "vit.pt")
    cosines = cosines_with_the_tutorial(ours, path, [*list_images(drawings)[::10], *photos])
    assert cosines.min() > LOWEST["float32"]


def test_an_unknown_device_or_precision_says_so(checkpoint):
    with pytest.raises(ValueError, match="device 'abacus'"):
        ClipEncoder(checkpoint, device="abacus")
    with pytest.raises(ValueError, match="unknown precision 'float8'"):
        ClipEncoder(checkpoint, precision="float8")
    with pytest.raises(ValueError, match="float16 needs CUDA"):
        ClipEncoder(checkpoint, device="cpu", precision="float16")


@pytest.mark.parametrize(
    ("found", "picked"),
    [({"amx_bf16": True}, "bfloat16"), ({"avx512_bf16": True}, "bfloat16"), ({}, "float32")],
)
def test_bfloat16_is_picked_where_the_cpu_has_it(checkpoint, monkeypatch, found, picked):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert ClipEncoder(checkpoint, device="cpu").precision == picked
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert ClipEncoder(checkpoint, device="cpu").precision == "float32"


def test_vectors_are_float32_of_unit_length_in_any_batch_size(encoder, drawings):
    images = list_images(drawings)[:7]
    vectors = encoder.encode_images(images, batch_size=3)
    assert (vectors.shape, vectors.dtype) == ((7, encoder.dim), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.allclose(vectors, encoder.encode_images(iter(images), batch_size=7), atol=1e-5)


def test_nothing_gives_an_empty_array(encoder):
    assert encoder.encode_images([]).shape == (0, encoder.dim)
    assert encoder.encode_texts([]).shape == (0, encoder.dim)


def test_one_thing_instead_of_several_is_refused(encoder):
    with pytest.raises(TypeError, match="put it into a list"):
        encoder.encode_texts("a dog")
    with pytest.raises(TypeError, match="put it into a list"):
        encoder.encode_images("dog.jpg")


def test_several_templates_give_their_normalised_mean(encoder):
    templates = ["a photo of a {}", "a drawing of a {}"]
    mean = encoder.encode_texts(["a photo of a cat", "a drawing of a cat"]).mean(axis=0)
    vector = encoder.encode_texts(["cat"], templates)[0]
    assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)
    with pytest.raises(ValueError, match="templates need"):
        encoder.encode_texts(["cat"], ["no place"])


def test_a_text_that_is_too_long_is_cut_with_a_warning_that_names_it(encoder):
    long = "very " * 100 + "long"
    with pytest.warns(UserWarning, match="77 tokens, the rest is cut: 'very very"):
        vectors = encoder.encode_texts(["short", long])
    assert np.allclose(vectors[0], encoder.encode_texts(["short"])[0], atol=1e-6)


def test_a_photo_is_encoded_upright(encoder, tmp_path, photos):
    upright = Image.open(photos[0])
    for orientation, turn in [(3, 180), (6, 90), (8, 270)]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.rotate(turn, expand=True).save(tmp_path / "turned.png", exif=exif)
        upright.save(tmp_path / "upright.png")
        turned, plain = encoder.encode_images([tmp_path / "turned.png", tmp_path / "upright.png"])
        assert turned @ plain > 0.9999


def test_a_file_that_cannot_be_read_is_an_error_or_one_of_its_item(encoder, photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    mixed = [photos[0], tmp_path / "broken.jpg", photos[1], tmp_path / "gone.jpg"]
    with pytest.raises(OSError, match=r"broken\.jpg"):
        encoder.encode_images(mixed, batch_size=4)
    whole, broken, second, gone = next(encoder.encode_stream(mixed, batch_size=4))
    assert np.allclose([whole.vector, second.vector], encoder.encode_images(photos[:2]), atol=1e-5)
    assert (whole.item, whole.error, whole.facts["width"]) == (photos[0], None, 500)
    assert isinstance(broken.error, OSError)
    assert isinstance(gone.error, FileNotFoundError)
    assert (len(broken.vector), broken.facts) == (0, {})


def test_weights_that_give_no_numbers_are_noticed(checkpoint, drawings):
    broken = ClipEncoder(checkpoint, device="cpu")
    broken.model.visual.proj.data[:] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        broken.encode_images(list_images(drawings)[:1])


def test_pil_images_paths_and_strings_are_the_same(encoder, photos):
    path = photos[2]
    with Image.open(path) as image:
        kinds = [path, os.fspath(path), ImageOps.exif_transpose(image)]
        prepared = encoder.encode_pixels(encoder.prepare(image.convert("RGB")).unsqueeze(0))
        vectors = np.concatenate([encoder.encode_images(kinds), prepared])
    assert np.allclose(vectors, vectors[0], atol=1e-6)


def test_a_tensor_that_prepare_did_not_make_is_refused(encoder, photos):
    pixels = encoder.original()[1](Image.open(photos[0])).unsqueeze(0)
    with pytest.raises(
        TypeError, match=r"have to come from `prepare` \(uint8\), not torch.float32"
    ):
        encoder.encode_pixels(pixels)


def test_a_large_photo_is_decoded_smaller_and_gives_the_same_vector(encoder, photos, tmp_path):
    large = Image.open(photos[0]).resize((1600, 1200), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    small = load_image(tmp_path / "large.jpg", encoder.edge)
    assert (large.size, small.size) == ((1600, 1200), (200, 150))  # the model sees 32 x 32
    drafted, whole = encoder.encode_images([tmp_path / "large.jpg", large])
    assert drafted @ whole > 0.99


def test_cutting_the_padding_changes_no_texts_vector(encoder):
    texts = ["a dog", "a photo of two blue fish on a yellow background", "", "word " * 74]
    vectors = encoder.encode_texts(texts)
    with torch.inference_mode():
        whole = encoder.model.encode_text(clip.tokenize(texts))
    whole = (whole / whole.norm(dim=-1, keepdim=True)).numpy()
    assert np.abs(vectors - whole).max() < 1e-6


@pytest.fixture
def lengths(encoder, monkeypatch):
    """The numbers of texts and of tokens in each forward pass."""
    encode, shapes = encoder.model.encode_text, []
    monkeypatch.setattr(encoder, "_texts", {})
    monkeypatch.setattr(
        encoder.model, "encode_text", lambda t: shapes.append(tuple(t.shape)) or encode(t)
    )
    return shapes


def test_texts_are_cut_behind_their_end(encoder, lengths):
    encoder.encode_texts(["a dog", "a white dog"])
    assert lengths == [(2, 5)]  # start, three words, end


def test_a_text_is_encoded_once_and_then_remembered(encoder, lengths):
    first = encoder.encode_texts(["a dog", "a cat", "a dog"])
    assert np.array_equal(first[0], first[2])
    first[0] = 0  # what was handed out is the caller's own
    again = encoder.encode_texts(["a cat", "a dog", "a bird"])
    assert [texts for texts, _ in lengths] == [2, 1]
    assert np.array_equal(again[1], first[2])
    assert np.array_equal(again[0], first[1])


def test_only_so_many_texts_are_remembered(encoder, lengths):
    many = [f"{number}" for number in range(1100)]
    vectors = encoder.encode_texts(many)
    assert (len(encoder._texts), sum(texts for texts, _ in lengths)) == (1000, 1100)
    assert np.allclose(vectors[:3], encoder.encode_texts(many[:3]), atol=1e-6)


def test_a_very_long_image_is_cut_round_its_centre_before_it_is_scaled(encoder):
    image = Image.new("RGB", (4, 20_000), "red")
    image.paste("blue", (0, 9_900, 4, 10_100))
    assert not_too_long(image).size == (4, 80)
    assert not_too_long(image.transpose(Image.Transpose.ROTATE_90)).size == (80, 4)
    blue = encoder.prepare(Image.new("RGB", (32, 32), "blue"))
    assert np.array_equal(encoder.prepare(image), blue)


def test_an_image_of_up_to_20_to_1_is_left_whole():
    image = Image.new("RGB", (4, 80))
    assert not_too_long(image) is image


@torch.inference_mode()
def test_bytes_are_normalised_as_floats_would_be(encoder, photos):
    image = Image.open(photos[0]).convert("RGB")
    expected = encoder.model.encode_image(encoder.original()[1](image)[None])
    found = encoder.encode_pixels(encoder.prepare(image)[None])
    assert np.allclose(found, expected / expected.norm(), atol=1e-6)


class Toy:
    """A family of one model, which knows colours: a text is one by its name."""

    COLOURS = ImageColor.colormap
    prefixes = ("toy",)
    fetch = Path
    preprocess = Compose([Resize((8, 8)), ToTensor(), Normalize([127 / 255] * 3, [1 / 255] * 3)])

    def __init__(self, model_name="toy", device="cpu", precision="float32"):
        self.name = self.model_name = self.digest = self.content = "toy"
        self.path, self.dim, self.resolution = Path("toy.pt"), 3, 8

    def encode_image(self, pixels):
        return pixels.float().mean(dim=(2, 3))

    def length(self, text):
        return 1

    def tokenize(self, texts):
        return torch.tensor([ImageColor.getrgb(text) for text in texts]).float()

    def encode_text(self, tokens):
        return tokens - 127

    @property
    def common_words(self):
        return list(self.COLOURS)


def test_another_family_of_models_ingests_searches_and_has_margins(tmp_path, monkeypatch, store):
    monkeypatch.setattr(encoder_module, "FAMILIES", [Toy, *encoder_module.FAMILIES])
    for colour in [*Toy.COLOURS][:60]:
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"{colour}.png")
    toy = ClipEncoder("toy", device="cpu")
    assert ingest(tmp_path, toy, store, progress=False).inserted == 60
    found = search("crimson", toy, store)
    assert found[0].filepath == "crimson.png"
    assert found[0].margin > 1
    assert search(tmp_path / "gold.png", toy, store)[0].filepath == "gold.png"
    assert encoder_module.fetch("toy") == Path("toy")
    assert ClipEncoder("tiny").name == "tiny"


def test_a_progress_bar_is_there_for_whoever_asks(encoder, drawings, capsys):
    paths = list_images(drawings)[:3]
    encoder.encode_images(paths)
    assert capsys.readouterr().err == ""
    encoder.encode_images(iter(paths), progress=True)
    assert "encoding images" in capsys.readouterr().err
