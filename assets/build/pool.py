"""Pictures to pre-train a tiny CLIP on, in three groups with a fixed share of each batch."""

import json

import numpy as np
import torch
from class_words import WORDS
from emoji_classes import NAMES, NUM_KNOWN
from packages import SIZE, SOURCES
from torch import Tensor

_UNKNOWN_WORDS = {
    word
    for name in NAMES[NUM_KNOWN:]
    for words in (WORDS.get(name, ""), name.replace("_", "-"))
    for word in words.split()
}


def says_unknown(text: str) -> bool:
    """Whether a caption contains a word of the data set's unknown classes."""
    words = text.lower().replace("|", " ").split()
    pairs = ["-".join(pair) for pair in zip(words, words[1:])]
    return not _UNKNOWN_WORDS.isdisjoint([*words, *pairs])


def without_unknown(name: str) -> str | None:
    """A picture's label and keywords without keywords that name an unknown class; None if its label
    names one."""
    label, *keywords = name.split("|")
    if says_unknown(label):
        return None
    return "|".join([label, *(word for word in keywords if not says_unknown(word))])


class Pool:
    """Pictures to train on, and pictures of the style held apart.

    shares: those of source emoji with a class and of icons with a class in a batch; pictures
        without a class make up the rest.
    held_apart: the name of a style; any other text holds none apart.
    left_out: whether to leave out pictures and keywords of the data set's unknown classes.
    """

    def __init__(self, path: str, shares: tuple[float, float], held_apart: str, left_out: bool,
                 g: torch.Generator):
        data = np.load(path)
        meta = json.loads(str(data["meta"]))
        self.shares, self.g = shares, g
        self.mono, self.colour = torch.as_tensor(data["mono"]), torch.as_tensor(data["colour"])
        entries = meta["mono"] + meta["colour"]
        names = [without_unknown(name) if left_out else name for name, _, _ in entries]
        self.names = [name or "" for name in names]
        self.labels = torch.tensor([label for _, label, _ in entries])
        origin = np.array([o for _, _, o in entries])
        emoji, named = torch.tensor(np.isin(origin, SOURCES)), self.labels >= 0
        apart = torch.tensor(origin == held_apart)
        kept = torch.tensor([name is not None for name in names]) & ~apart
        if left_out:
            kept &= self.labels < NUM_KNOWN
        self.held_apart = torch.nonzero(apart & named & (self.labels < NUM_KNOWN)).flatten()
        self.groups = [
            torch.nonzero(kept & part).flatten()
            for part in (emoji & named, ~emoji & named, ~named)
        ]
        self.weights = [self._balance(group) for group in self.groups]

    @property
    def captions(self) -> list[str]:
        """Names of the pictures to train on."""
        return [self.names[i] for group in self.groups for i in group.tolist()]

    def _balance(self, group: Tensor) -> Tensor:
        """Sampling weights that damp large classes by the square root of their size."""
        labels = self.labels[group]
        if (labels < 0).any():
            return torch.ones(len(group))
        return labels.bincount(minlength=len(NAMES)).float()[labels] ** -0.5

    def sample(self, count: int) -> Tensor:
        """Indices of a random batch of `count` pictures."""
        sizes = [round(count * share) for share in self.shares]
        sizes.append(count - sum(sizes))
        picks = [
            group[torch.multinomial(weights, size, replacement=True, generator=self.g)]
            for group, weights, size in zip(self.groups, self.weights, sizes)
        ]
        return torch.cat(picks)

    def pictures(self, index: Tensor) -> Tensor:
        """RGBA in [0, 1], (batch, 4, SIZE, SIZE); one-colour icons are black or dark."""
        out = torch.empty(len(index), 4, SIZE, SIZE)
        one = index < len(self.mono)
        if one.any():
            n = int(one.sum())
            dark = torch.rand(n, 3, 1, 1, generator=self.g) * 0.6
            black = torch.rand(n, 1, 1, 1, generator=self.g) < 0.5
            inks = torch.where(black, torch.zeros(()), dark).expand(-1, -1, SIZE, SIZE)
            alpha = self.mono[index[one]].float()[:, None] / 255
            out[one] = torch.cat([inks, alpha], 1)
        rest = index[~one] - len(self.mono)
        out[~one] = self.colour[rest].permute(0, 3, 1, 2).float() / 255
        return out
