import pytest
import torch
from clip.model import LayerNorm

from helpers.models import acceleration
from helpers.models.acceleration import accelerate

from .support import models
from .support.tutorial import load


@pytest.fixture
def model(checkpoint):
    return load(checkpoint)[0]


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randn(3, 3, 32, 32)


@torch.inference_mode()
def test_in_float32_the_features_stay_what_they_were(model, images):
    before = model.encode_image(images)
    accelerate(model, "float32", "cpu")
    assert torch.allclose(model.encode_image(images), before, atol=1e-5)
    assert isinstance(model.visual.transformer[0].mlp.gelu, torch.nn.SiLU)


@torch.inference_mode()
def test_in_bfloat16_matrices_are_converted_once_and_norms_stay_float32(model, images):
    before = model.encode_image(images)
    accelerate(model, "bfloat16", "cpu")
    block = model.visual.transformer[0]
    converted = (model.visual.conv1.weight, block.inputs.weight, block.mlp.c_fc.weight)
    assert {weights.dtype for weights in converted} == {torch.bfloat16}
    assert block.ln_1.weight.dtype == torch.float32
    after = model.encode_image(images).float()
    assert torch.cosine_similarity(before, after).min() > 0.999


@torch.inference_mode()
def test_weights_become_the_nearest_bfloat16(model):
    full = model.visual.conv1.weight.clone()
    accelerate(model, "bfloat16", "cpu")
    assert torch.equal(model.visual.conv1.weight, full.bfloat16())


@torch.inference_mode()
def test_float16_is_clips_own_conversion(model):
    accelerate(model, "float16", "cuda")
    assert model.visual.conv1.weight.dtype == torch.float16
    assert model.visual.ln_pre.weight.dtype == torch.float32


@torch.inference_mode()
def test_a_resnet_can_be_accelerated_as_well(tmp_path):
    sizes = models.SMALL | {"vision_layers": (1, 1, 1, 1), "vision_width": 16}
    path = models.save_random_clip(tmp_path / "resnet.pt", sizes)
    model, images = load(path)[0], torch.randn(2, 3, 32, 32)
    before = model.encode_image(images)
    accelerate(model, "bfloat16", "cpu")
    assert torch.cosine_similarity(before, model.encode_image(images).float()).min() > 0.999


@torch.inference_mode()
def test_layers_whose_weights_a_resnet_reads_itself_are_not_packed(tmp_path, monkeypatch):
    sizes = models.SMALL | {"vision_layers": (1, 1, 1, 1), "vision_width": 16}
    model = load(models.save_random_clip(tmp_path / "resnet.pt", sizes))[0].bfloat16()
    monkeypatch.setattr(acceleration, "_PackedLinear", Packed)
    accelerate(model, "bfloat16", "cpu")
    assert type(model.visual.attnpool.q_proj) is torch.nn.Linear


@torch.inference_mode()
def test_the_last_block_computes_the_class_token_only(model):
    accelerate(model, "float32", "cpu")
    tokens = torch.randn(17, 3, 64)
    assert model.visual.transformer(tokens).shape == (1, 3, 64)


class Packed(torch.nn.Module):
    """Stands for a packed layer where this processor or this torch has none."""

    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias = layer.weight.data, layer.bias

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight, self.bias)


@torch.inference_mode()
@pytest.mark.parametrize("packed", [acceleration._PackedLinear, Packed], ids=["real", "injected"])
def test_on_the_cpu_bfloat16_layers_are_packed_where_that_works(model, images, monkeypatch, packed):
    layer = torch.nn.Linear(64, 64).bfloat16()
    try:
        packed(layer)(torch.ones(1, 64, dtype=torch.bfloat16))
    except Exception as error:
        pytest.skip(f"no packed layers on this processor: {error}")
    before = model.encode_image(images)
    monkeypatch.setattr(acceleration, "_PackedLinear", packed)
    accelerate(model, "bfloat16", "cpu")
    block = model.visual.transformer[0]
    layers = (model.visual.conv1.product, block.inputs, block.output, *block.mlp[::2])
    assert {type(layer) for layer in layers} == {packed}
    assert torch.cosine_similarity(before, model.encode_image(images).float()).min() > 0.999


@torch.inference_mode()
def test_layers_that_this_torch_cannot_pack_stay_as_they_are(model, images, monkeypatch):
    def refuse(layer):
        raise NotImplementedError("no such operation")

    before = model.encode_image(images)
    monkeypatch.setattr(acceleration, "_PackedLinear", refuse)
    accelerate(model, "bfloat16", "cpu")
    assert isinstance(model.visual.transformer[0].inputs, torch.nn.Linear)
    assert torch.cosine_similarity(before, model.encode_image(images).float()).min() > 0.999


@torch.inference_mode()
def test_layers_that_packing_would_spoil_stay_as_they_are(model, images, monkeypatch):
    before = model.encode_image(images)
    monkeypatch.setattr(acceleration._PackedLinear, "forward", lambda layer, x: 2 * x)
    accelerate(model, "bfloat16", "cpu")
    assert torch.cosine_similarity(before, model.encode_image(images).float()).min() > 0.999


@torch.inference_mode()
def test_on_another_device_nothing_is_done_that_only_the_cpu_can(model):
    accelerate(model, "bfloat16", "cuda")
    block = model.visual.transformer[0]
    assert isinstance(block.inputs, torch.nn.Linear)
    assert type(block.ln_1) is LayerNorm


def test_the_model_may_be_called_with_gradients_on_as_in_the_tutorial(model, images):
    before = model.encode_image(images)
    accelerate(model, "bfloat16", "cpu")
    after = model.encode_image(images).float()
    assert torch.cosine_similarity(before, after).min() > 0.999
