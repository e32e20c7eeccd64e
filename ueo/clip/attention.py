"""Pieces of CLIP's residual attention blocks, for towers that skip what nobody reads."""

import torch.nn.functional as F
from torch import Tensor, nn


def project(attention: nn.MultiheadAttention, x: Tensor, parts: int = 3) -> tuple[Tensor, ...]:
    """The first `parts` of query, key and value of x (..., tokens, width), each
    (..., heads, tokens, width / heads)."""
    width, heads = x.shape[-1], attention.num_heads
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    projected = F.linear(x, weight[: parts * width], bias[: parts * width])
    split = projected.unflatten(-1, (parts, heads, width // heads))
    return split.movedim(-3, 0).transpose(-3, -2).unbind(0)


def after_attention(block: nn.Module, x: Tensor, seen: Tensor) -> Tensor:
    """The rest of a block: output projection, residual, MLP.

    x: (..., tokens, width); seen: (..., heads, tokens, width / heads), what attention gave.
    """
    x = x + block.attn.out_proj(seen.transpose(-3, -2).flatten(-2))
    return x + block.mlp(block.ln_2(x))
