"""A text tower that takes prompt embeddings instead of tokens."""

import torch
from torch import Tensor, nn


class TextEncoder(nn.Module):
    """Transformer blocks, the last normalisation and the projection of any CLIP.

    projection: a matrix (width, embedding), a linear layer, or None.
    causal: whether no token sees a later one. pooling: see Tokeniser.
    """

    def __init__(self, blocks: nn.ModuleList, positional_embedding: nn.Parameter,
                 ln_final: nn.Module, projection: nn.Parameter | nn.Linear | None,
                 causal: bool, pooling: str):
        super().__init__()
        self.blocks = blocks
        self.positional_embedding = positional_embedding
        self.ln_final = ln_final
        self.text_projection = projection
        self.causal, self.pooling = causal, pooling

    @property
    def dtype(self) -> torch.dtype:
        return self.blocks[0].mlp.c_fc.weight.dtype

    @property
    def ends_at_pooled(self) -> bool:
        """Whether nothing after the pooled token has an effect: padding can be cut off."""
        return self.causal and self.pooling in ("argmax", "eos")

    @property
    def shares_beginning(self) -> bool:
        """Whether ueo/clip/fast_text.py is exact, which also takes blocks made as OpenAI's."""
        return self.ends_at_pooled and all(
            isinstance(block.attn, nn.MultiheadAttention)
            and isinstance(getattr(block, "ls_1", nn.Identity()), nn.Identity)
            for block in self.blocks
        )

    def forward(self, prompts: Tensor, pooled: Tensor) -> Tensor:
        """Return the features at the pooled tokens, (classes, embedding), not normalised.

        prompts: (classes, length, width), of full context length unless `ends_at_pooled`;
        pooled: (classes,), positions.
        """
        length = prompts.shape[1]
        x = prompts + self.positional_embedding[:length].to(prompts.dtype)
        mask = x.new_full((length, length), float("-inf")).triu_(1) if self.causal else None
        x = self.through_blocks(x, mask)[torch.arange(len(pooled), device=pooled.device), pooled]
        return self.project(x, prompts.dtype)

    def through_blocks(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the blocks on x (classes, length, width). mask: (length, length), added, or None."""
        for block in self.blocks:
            x = block(x, attn_mask=mask)
        return x

    def project(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Apply what follows the blocks: (..., width) -> (..., embedding), in `dtype`."""
        x = self.ln_final(x).to(dtype)
        if isinstance(self.text_projection, nn.Linear):
            return self.text_projection(x)
        return x if self.text_projection is None else x @ self.text_projection
