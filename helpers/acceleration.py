"""Make a CLIP model faster on the processor at hand, with the same vectors up to rounding.

Not about batches and threads: see `encoder` and `batches`.
"""

import warnings

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which warns that it will go
    from clip.model import LayerNorm, ResidualAttentionBlock, convert_weights

__all__ = ["accelerate", "has_fast_bfloat16"]


def has_fast_bfloat16() -> bool:
    """Say whether this CPU multiplies bfloat16 in hardware (Intel's AMX, AVX512-BF16).

    Elsewhere bfloat16 is slower than float32. False where torch is too old to tell.
    """
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def accelerate(model: torch.nn.Module, precision: str, device: str) -> None:
    """Change a float32 CLIP in place, before it is moved to its device.

    - The weights of matrix products are converted once, and not at every call as autocast does:
      those that CLIP's own `convert_weights` picks.
    - `_fold_gelu` spares two of three passes over the widest activations.
    - CLIP's LayerNorm goes to float32 and back, in three passes; torch's own on the CPU takes
      bfloat16 with float32 weights and computes in float32 inside, in one.

    Parameters
    ----------
    model : torch module, as `clip.load` gives it
    precision : {"float32", "float16", "bfloat16"}
    device : str
    """
    _fold_gelu(model)
    if precision == "float16":
        convert_weights(model)
    if precision == "bfloat16":
        _convert_to_bfloat16(model)
        if device == "cpu":
            for module in model.modules():
                if isinstance(module, LayerNorm):
                    module.__class__ = torch.nn.LayerNorm


def _fold_gelu(model: torch.nn.Module) -> None:
    """Compute CLIP's QuickGELU, x sigmoid(1.702 x), as silu(1.702 x) / 1.702.

    The factors go into the weights before and after it, and silu is one call.
    """
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock):
            before, after = block.mlp.c_fc, block.mlp.c_proj
            before.weight.data.mul_(1.702)
            before.bias.data.mul_(1.702)
            after.weight.data.div_(1.702)
            block.mlp.gelu = torch.nn.SiLU()


def _convert_to_bfloat16(model: torch.nn.Module) -> None:
    """Convert what `convert_weights` converts, from float32 and so without rounding twice."""
    full = {name: weights.data for name, weights in model.named_parameters()}
    convert_weights(model)
    for name, weights in model.named_parameters():
        if weights.dtype == torch.float16:
            weights.data = full[name].bfloat16()
