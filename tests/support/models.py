"""CLIP checkpoints with random weights, in the layouts that `clip.load` opens."""

import warnings
from pathlib import Path

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from clip.model import CLIP

SMALL = {
    "embed_dim": 64,
    "image_resolution": 32,
    "vision_layers": 2,
    "vision_width": 64,
    "vision_patch_size": 8,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 64,
    "transformer_heads": 1,
    "transformer_layers": 2,
}
VIT_B_32 = {
    "embed_dim": 512,
    "image_resolution": 224,
    "vision_layers": 12,
    "vision_width": 768,
    "vision_patch_size": 32,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 512,
    "transformer_heads": 8,
    "transformer_layers": 12,
}


def save_random_clip(path: Path, sizes: dict = SMALL, seed: int = 0, jit: bool = False) -> Path:
    """Save a CLIP with random weights, as a state dict or TorchScript archive; return its path."""
    torch.manual_seed(seed)
    model = CLIP(**sizes).eval()
    if jit:
        _save_archive(model, sizes, path)
    else:
        torch.save(model.state_dict(), path)
    return path


def _save_archive(model: CLIP, sizes: dict, path: Path) -> None:
    edge = sizes["image_resolution"]
    sizes = {"input_resolution": edge, "context_length": 77, "vocab_size": sizes["vocab_size"]}
    for name, size in sizes.items():
        vars(model).pop(name, None)
        model.register_buffer(name, torch.tensor(size))
    example = (torch.zeros(1, 3, edge, edge), torch.zeros(1, 77, dtype=torch.long))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; OpenAI's files use it
        archive = torch.jit.trace(model, example)
    archive.half().save(str(path))  # the published weights are float16
