"""Words of WordNet 3.0 that may serve as negative names, and which of them a model can read."""

import hashlib
import lzma
from dataclasses import dataclass

import torch
from torch import Tensor

from ueo.clip.towers.interface import Backbone
from ueo.files import asset

FILE = "negative_words.txt.xz"  # made by assets/build/negative_words.py


@dataclass(frozen=True)
class Words:
    """names: the words, nouns first; nouns: how many of them are nouns."""

    names: list[str]
    nouns: int

    @property
    def identity(self) -> str:
        """A hash of the words and their order."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()[:12]


def candidates() -> Words:
    """Return the words that are shipped: one-word nouns, then adjectives that are no nouns, each
    sorted. Lines of the file that begin with # are their licence."""
    text = lzma.decompress(asset(FILE).read_bytes()).decode()
    lines = [line for line in text.split("\n") if not line.startswith("#")]
    nouns, adjectives = (part.split() for part in "\n".join(lines).split("\n\n"))
    return Words([*nouns, *adjectives], len(nouns))


def readable(names: list[str], backbone: Backbone) -> Tensor:
    """Return (names,), bool: whether the model knows all tokens of a name. The embedding of an
    unknown token is zeros, as most are in the embedded tiny CLIP."""
    unknown = (backbone.token_embedding.weight == 0).all(1).cpu()
    if not unknown.any():
        return torch.ones(len(names), dtype=torch.bool)
    tokens, start = backbone.tokenise(names), backbone.tokenise.num_start
    place = torch.arange(tokens.ids.shape[1])
    own = (place >= start) & (place < start + tokens.lengths[:, None])
    return ~(unknown[tokens.ids] & own).any(1)
