"""Make a CLIP model faster on the processor at hand, with the same vectors up to rounding.

Not about batches and threads: see `encoder` and `batches`.
"""

import warnings
from typing import Any

import torch
from torch.nn import MultiheadAttention
from torch.nn import functional as F

with warnings.catch_warnings(action="ignore"):  # clip imports pkg_resources, which is deprecated
    from clip.model import CLIP, ResidualAttentionBlock, VisionTransformer, convert_weights


def has_fast_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (Intel's AMX, AVX512-BF16).

    Elsewhere bfloat16 is slower than float32. False if torch is too old to say.
    """
    found: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))


def accelerate(model: Any, precision: str, device: str) -> None:
    """Change a CLIP in place, for inference: OpenAI's, in float32 on the CPU, or open_clip's.

    - The weights that CLIP's own `convert_weights` picks, those of matrix products, are converted
      once. Autocast converts them at every call. open_clip has converted its own by then.
    - `_Patches` cuts an image up with one matrix product instead of a convolution.
    - `_Block` does not compute what nobody reads, and copies less.
    - `_fold_gelu` saves two of three passes over the widest activations.
    - `_PackedLinear` lays weights out for the processor once.
    - CLIP's LayerNorm converts to float32 and back, in three passes. On the CPU torch's own takes
      bfloat16 with float32 weights and computes in float32 inside, in one pass.

    A model of open_clip gets what fits, as far as it is built in the same way. Of any other image
    tower (timm's, such as SigLIP's) the layers are packed; a ResNet's only ones are in its pooling,
    which reads their weights itself.

    Parameters
    ----------
    model : torch module, as `clip.load` or `open_clip.create_model` returns it
    precision : {"float32", "float16", "bfloat16"}
    device : str
    """
    _fold_gelu(model)
    if isinstance(model, CLIP) and precision != "float32":
        convert_weights(model)
        for weights in model.parameters():  # `build_model` has made all of these float16 once
            if weights.dtype == torch.float16:
                weights.data = weights.data.to(getattr(torch, precision))
    model.requires_grad_(False)
    blocks = getattr(getattr(model.visual, "transformer", None), "resblocks", ())
    if blocks and all(isinstance(getattr(b, "attn", None), MultiheadAttention) for b in blocks):
        _rebuild(model.visual, blocks)
    if (precision, device) == ("bfloat16", "cpu"):
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.__class__ = torch.nn.LayerNorm
        _pack(model.visual)


def _rebuild(visual: Any, blocks: Any) -> None:
    """Put ours in the place of an image tower's transformer and of the convolution before it."""
    visual.conv1 = _Patches(visual.conv1)
    openais = isinstance(visual, VisionTransformer)
    outside = _ImageTransformer if openais else torch.nn.Sequential
    visual.transformer = outside(*map(_Block, blocks))
    by_token = openais or (visual.pool_type == "tok" and visual.attn_pool is None)
    if by_token and not getattr(visual, "output_tokens", False):
        visual.transformer[-1].tokens = 1


def _fold_gelu(model: torch.nn.Module) -> None:
    """Compute CLIP's QuickGELU, x sigmoid(1.702 x), as silu(1.702 x) / 1.702.

    The factors go into the weights before and after it, and silu is one call.
    """
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock):
            for before in block.mlp.c_fc.parameters():
                before.data.mul_(1.702)
            block.mlp.c_proj.weight.data.div_(1.702)
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
    """The blocks of CLIP's transformer for images, which has the batch second outside."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn all tokens, shape (length, n, width), into those that the last block computes."""
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
        self.scale_1 = getattr(block, "ls_1", torch.nn.Identity())
        self.scale_2 = getattr(block, "ls_2", torch.nn.Identity())
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


def _pack(visual: torch.nn.Module) -> None:
    """Pack all layers; if this version of torch cannot, leave them as they are."""
    for path, layer in list(visual.named_modules()):
        if isinstance(layer, torch.nn.Linear) and not path.startswith("attnpool."):
            example = torch.ones(1, layer.weight.shape[1], dtype=torch.bfloat16)
            try:
                packed = _PackedLinear(layer)
                torch.testing.assert_close(packed(example), layer(example), rtol=0.02, atol=0.001)
            except Exception:  # of any kind: a private operation promises nothing
                return
            parent, _, name = path.rpartition(".")
            setattr(visual.get_submodule(parent), name, packed)
