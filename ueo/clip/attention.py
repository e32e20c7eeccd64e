"""Pieces of CLIP's residual attention blocks, for towers that skip unused computation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ueo.clip.fused.available import fits
from ueo.clip.fused.transformer import SLOPE, QuickGELU, layer_norm


def project(attention: nn.MultiheadAttention, x: Tensor, parts: int = 3) -> Tensor:
    """Return the first `parts` of query, key and value of x (..., tokens, width), concatenated:
    (..., tokens, parts * width)."""
    rows = parts * x.shape[-1]
    return F.linear(x, attention.in_proj_weight[:rows], attention.in_proj_bias[:rows])


def split_heads(projected: Tensor, attention: nn.MultiheadAttention) -> tuple[Tensor, ...]:
    """Split the output of `project` into tensors for fused attention, each (..., heads, tokens,
    width / heads)."""
    heads, each = attention.num_heads, attention.head_dim
    parts = projected.unflatten(-1, (-1, heads, each)).unbind(-3)
    return tuple(part.transpose(-3, -2) for part in parts)


def merge_heads(attended: Tensor) -> Tensor:
    """(..., heads, tokens, width / heads) -> (..., tokens, width)."""
    return attended.transpose(-3, -2).flatten(-2)


def after_attention(block: nn.Module, x: Tensor, attended: Tensor) -> Tensor:
    """Compute the rest of a block: output projection, residual, MLP.

    x: (..., tokens, width); attended: the output of attention, of the same shape.
    """
    x = x + block.attn.out_proj(attended)
    return x + _mlp(block.mlp, layer_norm(block.ln_2, x))


def _mlp(mlp: nn.Sequential, x: Tensor) -> Tensor:
    """Compute CLIP's MLP of x (..., tokens, width).

    QuickGELU is silu(SLOPE * x) / SLOPE. Without our kernel, the division is a factor of the last
    product: two passes over the hidden layer instead of three, two instead of five backward.
    """
    if type(mlp.gelu).__name__ != "QuickGELU":  # each library has its own class
        return mlp(x)
    hidden = mlp.c_fc(x)
    if fits(hidden):
        return mlp.c_proj(QuickGELU.apply(hidden))
    hidden = F.silu(SLOPE * hidden)
    last = mlp.c_proj
    out = torch.addmm(last.bias, hidden.flatten(0, -2), last.weight.T, alpha=1 / SLOPE)
    return out.view(x.shape)
