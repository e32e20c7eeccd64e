"""Which words are farthest from all classes: NegMining of NegLabel (Jiang et al., ICLR 2024).

Reference: github.com/YBZh/OpenOOD-VLM, openood/networks/clip_fixed_ood_prompt.py.
"""

import hashlib

import torch
from torch import Tensor

QUANTILE = 0.95  # of a word's similarities to all classes: how near it is, as released
SHARE = 0.15  # of the words, at most, as in the paper
MOST = 10_000  # names, as released: about SHARE of WordNet's
GROUP = 100  # names, so that MOST make the paper's 100 groups
BLOCK = 20_000_000  # similarities held at once


def nearness(words: Tensor, classes: Tensor) -> Tensor:
    """(W,): the similarity at QUANTILE of each word's to all classes, from the smallest on.

    words: (W, embedding); classes: (K, embedding); unit vectors.
    """
    rank = int(len(classes) * QUANTILE) + 1
    blocks = words.split(max(BLOCK // len(classes), 1))
    return torch.cat([(block @ classes.T).kthvalue(rank, dim=1).values for block in blocks])


def mine(near: Tensor, nouns: int, most: int = MOST) -> Tensor:
    """Positions of the words that are farthest from all classes, farthest first: of the adjectives
    and of the nouns as many as their share of the words.

    near: (W,), from `nearness`, nouns first; nouns: how many of them are; most: positions, and no
    more than SHARE of the words.
    """
    count = min(most, int(SHARE * len(near)))
    adjectives = int(count * (len(near) - nouns) / len(near)) if len(near) else 0
    far_adjectives = nouns + near[nouns:].argsort(stable=True)[:adjectives]
    return torch.cat([far_adjectives, near[:nouns].argsort(stable=True)[: count - adjectives]])


def shuffled(names: list[str]) -> list[int]:
    """Positions in an order that is that of chance, yet the same wherever the names stood before:
    that of their hashes. NegLabel's groups are drawn at random."""
    return sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest())
