"""Make a CLIP model faster on the processor at hand, with the same vectors up to rounding.

Not about batches and threads: see `encoder` and `batches`.
"""

import warnings
from typing import Any

import torch
from torch.nn import MultiheadAttention
from torch.nn import functional as F

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which is deprecated
    from clip.model import LayerNorm, ResidualAttentionBlock, Transformer, convert_weights


def has_fast_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (Intel's AMX, AVX512-BF16).

    Elsewhere bfloat16 is slower than float32. False if torch is too old to say.
    """
    found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def accelerate(model: Any, precision: str, device: str) -> None:
    """Change a float32 CLIP in place, for inference, before it is moved to its device.

    - The weights that CLIP's own `convert_weights` picks, those of matrix products, are converted
      once. Autocast converts them at every call.
    - `_Patches` cuts an image up with one matrix product instead of a convolution.
    - `_ImageTransformer` does not compute what nobody reads, and copies less.
    - `_fold_gelu` saves two of three passes over the widest activations.
    - `_PackedLinear` lays weights out for the processor once.
    - CLIP's LayerNorm converts to float32 and back, in three passes. On the CPU torch's own takes
      bfloat16 with float32 weights and computes in float32 inside, in one pass.

    Parameters
    ----------
    model : torch module, as `clip.load` returns it
    precision : {"float32", "float16", "bfloat16"}
    device : str
    """
    model.requires_grad_(False)
    _fold_gelu(model)
    if precision == "float16":
        convert_weights(model)
    if precision == "bfloat16":
        _convert_to_bfloat16(model)
    on_cpu_in_bfloat16 = (precision, device) == ("bfloat16", "cpu")
    if on_cpu_in_bfloat16:
        for module in model.modules():
            if isinstance(module, LayerNorm):
                module.__class__ = torch.nn.LayerNorm
    if hasattr(model.visual, "transformer"):  # a ResNet has none
        model.visual.conv1 = _Patches(model.visual.conv1)
        model.visual.transformer = _ImageTransformer(model.visual.transformer)
        if on_cpu_in_bfloat16:
            _pack(model.visual)


def accelerate_open_clip(model: Any, precision: str, device: str) -> None:
    """Change an open_clip model in place, for inference, which is on its device in its precision.

    What `accelerate` does, as far as the model is built in the same way. Of any other image tower
    (timm's, such as SigLIP's) the layers are packed.

    Parameters
    ----------
    model : torch module, as `open_clip.create_model` returns it
    precision : {"float32", "float16", "bfloat16"}
    device : str
    """
    model.requires_grad_(False)
    visual = model.visual
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", ())
    if blocks and all(isinstance(getattr(b, "attn", None), MultiheadAttention) for b in blocks):
        visual.conv1 = _Patches(visual.conv1)
        visual.transformer = torch.nn.Sequential(*map(_Block, blocks))
        if visual.pool_type == "tok" and visual.attn_pool is None and not visual.output_tokens:
            visual.transformer[-1].tokens = 1
    if (precision, device) == ("bfloat16", "cpu"):
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.__class__ = torch.nn.LayerNorm
        _pack(visual)


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
            block.mlp.gelu = torch.nn.SiLU(inplace=True)


class _Patches(torch.nn.Module):
    """CLIP's first convolution, whose patches do not overlap, as a matrix product."""

    def __init__(self, convolution: torch.nn.Conv2d) -> None:
        super().__init__()
        self.edge = convolution.kernel_size[0]
        self.weight = convolution.weight  # where CLIP looks up its dtype
        self.product = torch.nn.Linear(1, 1, bias=False)
        self.product.weight = torch.nn.Parameter(self.weight.data.flatten(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map shape (n, 3, height, width) to (n, features, rows, columns)."""
        x = x.unflatten(3, (-1, self.edge)).unflatten(2, (-1, self.edge))
        patches = x.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return self.product(patches).permute(0, 3, 1, 2)


class _ImageTransformer(torch.nn.Sequential):
    """CLIP's transformer for images, which returns only the class token.

    CLIP reads no other token, so the last block computes no other.
    """

    def __init__(self, transformer: Transformer) -> None:
        *before, last = map(_Block, transformer.resblocks)
        last.tokens = 1
        super().__init__(*before, last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn all tokens, shape (length, n, width), into the first, shape (1, n, width)."""
        return super().forward(x.permute(1, 0, 2)).permute(1, 0, 2)


class _Block(torch.nn.Module):
    """A block of CLIP or open_clip, batch first: it saves the copies of torch's own attention.

    It maps shape (n, length, width) to (n, tokens, width): all tokens, or only the first ones.
    """

    def __init__(self, block: ResidualAttentionBlock) -> None:
        super().__init__()
        self.heads: int = block.attn.num_heads
        self.tokens: int | None = None
        self.ln_1, self.ln_2, self.mlp = block.ln_1, block.ln_2, block.mlp
        self.scale_1, self.scale_2 = (
            getattr(block, name, torch.nn.Identity()) for name in ("ls_1", "ls_2")
        )
        self.inputs = torch.nn.Linear(1, 1)
        self.inputs.weight, self.inputs.bias = block.attn.in_proj_weight, block.attn.in_proj_bias
        self.output = block.attn.out_proj

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inputs = self.inputs(self.ln_1(x)).unflatten(2, (3, self.heads, -1))
        queries, keys, values = inputs.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(queries[:, :, : self.tokens], keys, values)
        mixed = self.output(mixed.transpose(1, 2).flatten(2))
        x = x[:, : self.tokens] + self.scale_1(mixed)
        return x + self.scale_2(self.mlp(self.ln_2(x)))


class _PackedLinear(torch.nn.Module):
    """A bfloat16 layer whose weights are laid out for the processor once, not at every call.

    Torch's `linear` also copies the bias into its result first. The two operations here are what
    torch.compile uses for a layer. They are private to torch, so `_pack` tests them first.
    """

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.data)
        self.bias = None if layer.bias is None else layer.bias.data

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def _pack(model: torch.nn.Module) -> None:
    """Pack all layers; if this version of torch cannot, leave them as they are."""
    layers = [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, torch.nn.Linear)
    ]
    for parent, name, layer in layers:
        example = torch.ones(1, layer.weight.shape[1], dtype=torch.bfloat16)
        try:
            packed = _PackedLinear(layer)
            torch.testing.assert_close(packed(example), layer(example), rtol=0.02, atol=0.001)
        except Exception:  # of any kind: a private operation promises nothing
            return
        setattr(parent, name, packed)


def _convert_to_bfloat16(model: torch.nn.Module) -> None:
    """Convert what `convert_weights` converts; `clip.load` has made these float16 once before."""
    convert_weights(model)
    for weights in model.parameters():
        if weights.dtype == torch.float16:
            weights.data = weights.data.bfloat16()
