"""CLIP's text tower on prompts that begin alike: the same features for a fraction of the work.

In [start] [context] [class name .] [end] the first two are the same for all classes, and a causal
tower lets no token see a later one: the beginning is computed once, each class's own tokens after
it, up to its end of text and no further. Only that is read, so the last block works on it alone.
Features agree with those of the plain tower up to rounding.
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
    begin = prefix.shape[1]
    positions = tower.positional_embedding[: begin + suffix.shape[1]].to(prefix.dtype)
    rows = Rows(begin, suffix.shape[1], end - begin)
    own = rows.packed((suffix + positions[begin:])[None]).expand(len(prefix), -1, -1)
    x = torch.cat([prefix + positions[:begin], own], dim=1)
    *blocks, last = tower.blocks
    for block in blocks:
        x = after_attention(block, x, rows.attend(*project(block.attn, block.ln_1(x))))
    normalised = last.ln_1(x)
    _, key, value = project(last.attn, normalised)
    (query,) = project(last.attn, normalised[:, rows.last], parts=1)
    x = after_attention(last, x[:, rows.last], rows.attend_last(query, key, value))
    return tower.ln_final(x).to(prefix.dtype) @ tower.text_projection


class Rows:
    """Where tokens stand in x (contexts, rows, width): those of the beginning, then each class's
    own without padding; and their attention.

    begin, own: tokens of the beginning, and of the class with most; read: (classes,), the last own
    token of each class.
    """

    def __init__(self, begin: int, own: int, read: Tensor):
        self.begin, self.shape = begin, (len(read), own)
        places = torch.arange(own, device=read.device)
        self.places = (places <= read[:, None]).flatten().nonzero()[:, 0]  # in (classes * own)
        self.last = begin + (read + 1).cumsum(0) - 1
        self.causal = (places + begin)[:, None] >= torch.arange(begin + own, device=read.device)
        self.causal_last = self.causal[read][:, None, None]  # (classes, 1, 1, begin + own)

    def packed(self, padded: Tensor) -> Tensor:
        """(contexts, classes, own, width) -> (contexts, own tokens of all classes, width)."""
        return padded.flatten(1, 2).index_select(1, self.places)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What each row sees, all (contexts, heads, rows, width / heads)."""
        shared = (x[:, :, : self.begin] for x in (query, key, value))
        shared = F.scaled_dot_product_attention(*shared, is_causal=True)
        own = F.scaled_dot_product_attention(
            self._padded(query), *self._seen(key, value), attn_mask=self.causal
        )  # (contexts, classes, heads, own, width / heads)
        own = own.transpose(1, 2).flatten(2, 3).index_select(2, self.places)
        return torch.cat([shared, own], dim=2)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What the last tokens see: query and result (contexts, heads, classes, width / heads)."""
        seen = F.scaled_dot_product_attention(
            query.transpose(1, 2)[..., None, :], *self._seen(key, value), attn_mask=self.causal_last
        )
        return seen[..., 0, :].transpose(1, 2)

    def _padded(self, x: Tensor) -> Tensor:
        """(contexts, heads, rows, d) -> own tokens (contexts, classes, heads, own, d); zeros where
        a class has fewer."""
        own = x[:, :, self.begin :]
        padded = own.new_zeros(*own.shape[:2], self.shape[0] * self.shape[1], own.shape[-1])
        return padded.index_copy(2, self.places, own).unflatten(2, self.shape).transpose(1, 2)

    def _seen(self, *parts: Tensor) -> list[Tensor]:
        """Keys and values (contexts, classes, heads, begin + own, d) of each class."""
        beginnings = (x[:, None, :, : self.begin].expand(-1, self.shape[0], -1, -1, -1)
                      for x in parts)
        return [torch.cat([b, self._padded(x)], dim=-2) for b, x in zip(beginnings, parts)]
