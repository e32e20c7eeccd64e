"""Texts as token ids of a text tower, and what the tokens mean."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ueo.errors import ConfigError
from ueo.settings.options import quoted


@dataclass(frozen=True)
class Tokens:
    """ids: (texts, context length). lengths: (texts,), number of tokens of each text without start,
    end and padding. pooled: (texts,), position of the token whose feature is the text's."""

    ids: Tensor
    lengths: Tensor
    pooled: Tensor


class Tokeniser:
    """A library's tokeniser, and which tokens it adds to a text's own.

    encode: (texts, length) -> ids (texts, length), cut off or padded.
    context_length: of the tower. pooling: which token's feature is the text's, "argmax", "last",
    "first" or "eos"; end_of_text: the id that "eos" looks for.
    num_start: of tokens before a text's own, 1 or 0; num_period: of tokens of a final period.
    """

    def __init__(self, encode: Callable[[list[str], int], Tensor], context_length: int,
                 pooling: str = "argmax", end_of_text: int | None = None):
        self.encode, self.context_length = encode, context_length
        self.pooling, self.end_of_text = pooling, end_of_text
        empty, *others = encode(["", "a", "b"], context_length)
        self.num_start = int(all(other[0] == empty[0] for other in others))
        self.end_id = int(empty[self.num_start])
        self.num_period = self.count("a.") - self.count("a")

    def __deepcopy__(self, memo: dict) -> "Tokeniser":
        return self  # it never changes

    def __call__(self, texts: list[str], truncate: bool = False) -> Tokens:
        """Tokenise texts. Raises ConfigError for one that is too long, unless `truncate`."""
        ids = self.encode(texts, self.context_length + (not truncate))
        lengths = (ids[:, self.num_start :] != self.end_id).int().cumprod(1).sum(1)
        if not truncate:
            self._check_length(texts, lengths)
        ids = ids[:, : self.context_length]
        return Tokens(ids, lengths, self._pooled(ids))

    def count(self, text: str) -> int:
        """Return the number of the text's own tokens."""
        return int(self([text]).lengths)

    def _check_length(self, texts: list[str], lengths: Tensor) -> None:
        most = int(lengths.argmax())
        if self.num_start + int(lengths[most]) + 1 > self.context_length:
            raise ConfigError(
                f"a prompt is too long for the {self.context_length} tokens that this backbone "
                f"takes: {quoted(texts[most])}; shorten CTX_INIT, N_CTX or the class name"
            )

    def _pooled(self, ids: Tensor) -> Tensor:
        if self.pooling == "argmax":  # OpenAI's end of text has the largest id
            return ids.argmax(-1)
        if self.pooling == "eos":
            return (ids == self.end_of_text).int().argmax(-1)
        return torch.full((len(ids),), ids.shape[1] - 1 if self.pooling == "last" else 0)
