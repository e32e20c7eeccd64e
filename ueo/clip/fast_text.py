"""CLIP's text tower on prompts that begin alike: the same features for a fraction of the work.

In [start] [context] [class name .] [end] the first two are the same for all classes, and in a
causal tower no token sees a later one. So the beginning is computed once, then each class's own
tokens up to its end of text. Only the end of text is read, so the last block computes nothing else.
Features agree with those of the plain tower up to rounding.

Tokens are stored in rows: the beginning, then each class's own tokens without padding. Only
attention needs whole prompts side by side; what follows an end of text is never seen there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ueo.clip.attention import after_attention, merge_heads, project, split_heads
from ueo.clip.fused.transformer import layer_norm


class OwnTokens(nn.Module):
    """The tokens of each class after a common beginning, as constants that are computed once.

    suffix: (classes, own, width), their embeddings; begin: number of tokens of the beginning;
    ends: (classes,), positions of the ends of text in `suffix`.
    """

    def __init__(self, suffix: Tensor, begin: int, ends: Tensor):
        super().__init__()
        self.begin, (self.classes, own, _) = begin, suffix.shape
        self.length = begin + own  # of a whole prompt
        kept = torch.arange(own, device=ends.device) <= ends[:, None]  # (classes, own)
        of_class, position = kept.nonzero(as_tuple=True)
        beginning = torch.arange(begin, device=ends.device)
        places = torch.cat([beginning, of_class * self.length + begin + position])
        rows = places.new_zeros(self.classes, self.length)  # padding is row 0, unseen
        rows[:, :begin] = beginning
        rows[of_class, begin + position] = begin + torch.arange(len(position), device=ends.device)
        for name, constant in {
            "embedded": suffix[kept],  # (own tokens of all classes, width)
            "position": torch.cat([beginning, begin + position]),  # (rows,), in the prompt
            "rows": rows.flatten(),  # (classes * length,): the row of each place
            "places": places,  # (rows,): a place of each row
            "last_rows": begin + (ends + 1).cumsum(0) - 1,  # (classes,)
            "last_places": torch.arange(self.classes, device=ends.device) * self.length
            + begin + ends,  # (classes,)
        }.items():
            self.register_buffer(name, constant, persistent=False)

    def attend(self, attention: nn.MultiheadAttention, x: Tensor, places: Tensor) -> Tensor:
        """Return what the tokens at `places` attend to: x (contexts, rows, width) -> (contexts,
        places, width)."""
        projected = _Unpacked.apply(project(attention, x), self)
        prompts = projected.view(-1, self.length, projected.shape[-1])  # (contexts * classes, ...)
        query, key, value = split_heads(prompts, attention)
        attended = merge_heads(F.scaled_dot_product_attention(query, key, value, is_causal=True))
        return attended.reshape(*projected.shape[:2], -1).index_select(1, places)


class _Unpacked(torch.autograd.Function):
    """Rows (contexts, rows, width) -> whole prompts (contexts, classes * length, width).

    The gradient of the beginning is one sum over classes. Adding it up row by row would, in half
    precision, round it once a class, in an undefined order.
    """

    @staticmethod
    def forward(ctx, x: Tensor, own: OwnTokens) -> Tensor:
        ctx.own = own
        return x.index_select(1, own.rows)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        own = ctx.own
        to_rows = gradient.index_select(1, own.places)
        whole = gradient.unflatten(1, (own.classes, own.length))
        to_rows[:, : own.begin] = whole[:, :, : own.begin].sum(1)
        return to_rows, None


def encode_shared(tower: nn.Module, prefix: Tensor, own: OwnTokens) -> Tensor:
    """Return features at the end of text, not normalised: (contexts, classes, embedding).

    tower:  a TextEncoder (towers/text.py) with `shares_beginning`.
    prefix: (contexts, begin, width), embeddings of the beginning, for each context.
    """
    x = torch.cat([prefix, own.embedded.expand(len(prefix), -1, -1)], dim=1)
    x = x + tower.positional_embedding.index_select(0, own.position).to(x.dtype)
    *blocks, last = tower.blocks
    for block in blocks:
        x = after_attention(block, x, own.attend(block.attn, layer_norm(block.ln_1, x), own.places))
    attended = own.attend(last.attn, layer_norm(last.ln_1, x), own.last_places)
    x = after_attention(last, x.index_select(1, own.last_rows), attended)
    return tower.project(x, prefix.dtype)
