"""Models with random weights, in the layouts that `clip.load` and open_clip open."""

import json
import logging
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
SHALLOW = VIT_B_32 | {"vision_layers": 3, "transformer_layers": 3}
"""All of ViT-B/32 but its depth: as wide, with as many heads, in a quarter of the time."""
_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
_CAUSAL = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 128, "patch_size": 16},
    "text_cfg": _TEXT,
}
_SIGLIP = {
    "embed_dim": 64,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {
        "image_size": 160,
        "timm_model_name": "test_vit2",
        "timm_model_pretrained": False,
        "timm_pool": "map",
        "timm_proj": "none",
    },
    "text_cfg": {
        "context_length": 40,
        "vocab_size": 64,
        "hf_tokenizer_name": "the folder's own",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 64,
        "heads": 2,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        "act_kwargs": {"approximate": "tanh"},
    },
}
_HALF = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
OPEN_CLIP = {
    "causal, cropped": (_CAUSAL, {}),
    "with QuickGELU": ({**_CAUSAL, "quick_gelu": True}, {}),
    "not causal, squashed": (_SIGLIP, {**_HALF, "resize_mode": "squash"}),
}
"""Kinds of small models: open_clip's description of each, and of how it wants images."""


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


def save_open_clip(folder: Path, kind: str, seed: int = 0) -> Path:
    """Save a small model of open_clip with random weights as a `local-dir:`; return the folder.

    `kind` is one of `OPEN_CLIP`.
    """
    return _save(folder, *OPEN_CLIP[kind], seed)


def save_published(folder: Path, name: str, seed: int = 0) -> Path:
    """Save a model that open_clip lists, such as "ViT-B-16-SigLIP2/webli", with random weights."""
    import open_clip  # an extra

    architecture, tag = name.split("/")
    listed = open_clip.get_pretrained_cfg(architecture, tag)
    preprocess = {key: listed[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    return _save(folder, open_clip.get_model_config(architecture), preprocess, seed)


def _save(folder: Path, config: dict, preprocess: dict, seed: int) -> Path:
    import open_clip
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    if "hf_tokenizer_name" in config["text_cfg"]:  # the published one comes from the hub
        config["text_cfg"]["hf_tokenizer_name"] = "the folder's own"
        _save_tokenizer(folder)
    text = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(text))
    torch.manual_seed(seed)
    logging.disable()  # it warns of random weights
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    logging.disable(logging.NOTSET)
    for weights in model.parameters():  # LayerNorms and biases, too, or a wrong one would not show
        weights.data += 0.05 * torch.randn_like(weights)
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def _save_tokenizer(folder: Path) -> None:
    """Save one that counts letters as words: SigLIP 2's own comes from the hub."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<unk>", *map(chr, range(ord("a"), ord("z") + 1))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 1)]
    )
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
