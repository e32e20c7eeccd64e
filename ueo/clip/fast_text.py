"""CLIP's text tower on prompts that begin alike: the same features for a fraction of the work.

In [start] [context] [class name .] [end] the first two are the same for all classes, and a causal
tower lets no token see a later one: the beginning is computed once, each class's own tokens after
it. Only the end of text is read, so the last block works on that token alone. Features agree with
those of the plain tower up to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ueo.clip.attention import after_attention, project


def encode_shared(tower: nn.Module, prefix: Tensor, suffix: Tensor, end: Tensor) -> Tensor:
    """Features at the end of text, not normalised: (contexts, classes, embedding).

    tower:  ueo.clip.model.TextEncoder.
    prefix: (contexts, begin, width), embeddings of the beginning, for each context.
    suffix: (classes, own, width), embeddings of each class's own tokens.
    end:    (classes,), position of the end of text in the whole prompt.
    """
    begin, own = prefix.shape[1], suffix.shape[1]
    positions = tower.positional_embedding[: begin + own].to(prefix.dtype)
    shared = prefix + positions[:begin]
    classes = (suffix + positions[begin:]).expand(len(prefix), -1, -1, -1)
    after = torch.ones(own, begin + own, dtype=torch.bool, device=suffix.device).tril_(begin)
    *blocks, last = tower.blocks
    for block in blocks:
        shared, classes = _block(block, shared, classes, classes, after)
    read = end - begin  # (classes,), of each class's own tokens
    asking = classes[:, torch.arange(len(end), device=end.device), read, None]
    after = after[read][:, None, None]  # (classes, 1, 1, begin + own)
    classes = _block(last, shared, classes, asking, after, only_classes=True)[1]
    features = tower.ln_final(classes[:, :, 0]).to(prefix.dtype)
    return features @ tower.text_projection


def _block(block, shared: Tensor, classes: Tensor, asking: Tensor, after: Tensor,
           only_classes: bool = False) -> tuple[Tensor, Tensor]:
    """One residual block on the beginning (contexts, begin, width) and on the tokens `asking` of
    the classes (contexts, classes, asking, width), which see the beginning and `classes` as far as
    the mask `after` allows."""
    query, key, value = project(block.attn, block.ln_1(shared))
    asked, own_key, own_value = project(block.attn, block.ln_1(classes))
    if asking is not classes:
        (asked,) = project(block.attn, block.ln_1(asking), parts=1)
    keys, values = (
        torch.cat([beginning[:, None].expand(-1, classes.shape[1], -1, -1, -1), own], dim=-2)
        for beginning, own in ((key, own_key), (value, own_value))
    )
    seen = F.scaled_dot_product_attention(asked, keys, values, attn_mask=after)
    asking = after_attention(block, asking, seen)
    if not only_classes:
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        shared = after_attention(block, shared, seen)
    return shared, asking
