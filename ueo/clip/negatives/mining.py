"""Find the words farthest from all classes: NegMining of NegLabel (Jiang et al., ICLR 2024).

Reference: github.com/YBZh/OpenOOD-VLM, openood/networks/clip_fixed_ood_prompt.py.
"""

import hashlib

import torch
from torch import Tensor

QUANTILE = 0.95  # of a word's similarities to all classes, its nearness; as released
SHARE = 0.15  # of the words, kept at most; as in the paper
MOST = 10_000  # names that are kept, at most; as released, about SHARE of WordNet's
GROUP = 100  # names a group; MOST names make the paper's 100 groups
BLOCK = 20_000_000  # similarities in memory at once


def nearness(words: Tensor, classes: Tensor) -> Tensor:
    """Return (W,): for each word, the QUANTILE of its similarities to all classes.

    words: (W, embedding); classes: (K, embedding); unit vectors.
    """
    rank = int(len(classes) * QUANTILE) + 1
    blocks = words.split(max(BLOCK // len(classes), 1))
    return torch.cat([(block @ classes.T).kthvalue(rank, dim=1).values for block in blocks])


def mine(near: Tensor, nouns: int, most: int = MOST) -> Tensor:
    """Return the positions of the words farthest from all classes: first adjectives, then nouns,
    each farthest first and as many as their share of the words.

    near: (W,), from `nearness`, nouns first; nouns: their number; most: positions at most, besides
    the limit SHARE.
    """
    count = min(most, int(SHARE * len(near)))
    adjectives = int(count * (len(near) - nouns) / len(near)) if len(near) else 0
    far_adjectives = nouns + near[nouns:].argsort(stable=True)[:adjectives]
    return torch.cat([far_adjectives, near[:nouns].argsort(stable=True)[: count - adjectives]])


def shuffled(names: list[str]) -> list[int]:
    """Return positions in the order of the names' hashes: as good as random, yet independent of the
    order before. NegLabel draws its groups at random."""
    return sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest())
