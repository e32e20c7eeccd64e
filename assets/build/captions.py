"""Captions of pictures, their tokens, and the compact vocabulary that they need."""

import random
from collections import Counter

import clip
import torch
from torch import Tensor

TEMPLATES = ("a photo of a {}.", "a photo of a {}.", "a drawing of a {}.", "an icon of a {}.", "{}")
MAX_TOKENS = 5200  # most rows of the token embedding; rarer tokens are not learnt
LENGTH = 10  # most tokens of a text, start and end included; longer texts are cut


class Captions:
    """Turns names into captions and captions into compact token ids.

    A name is "label" or "label|keyword|keyword". `ids` holds the BPE ids that have a row, in
    ascending order, so that the end-of-text token stays the largest.
    """

    def __init__(self, names: list[str], classes: list[str], seed: int):
        self.random = random.Random(seed)
        self.classes = [name.replace("_", " ") for name in classes]
        self.encode = clip.clip._tokenizer.encode
        self.cache: dict[str, list[int]] = {}
        self.numbers: dict[str, int] = {}
        needed = [t.format(c) for t in TEMPLATES for c in self.classes] + ["a photo of a X."]
        must = {i for text in needed for i in self.encode(text)}
        count = Counter(i for name in names for i in self.encode(name.replace("|", " ")))
        rest = [i for i, _ in count.most_common() if i not in must][: MAX_TOKENS - len(must) - 2]
        start, end = 49406, 49407
        self.ids = torch.tensor(sorted({*must, *rest, start, end}))
        self.row = {int(i): r for r, i in enumerate(self.ids)}
        self.start, self.end = self.row[start], self.row[end]

    def of(self, name: str) -> str:
        """A caption of a picture: its label or, with probability 0.3, one of its keywords."""
        label, *keywords = name.split("|")
        if keywords and self.random.random() < 0.3:
            label = self.random.choice(keywords)
        return label

    def number(self, caption: str) -> int:
        """The number of a caption. Equal captions have equal numbers."""
        return self.numbers.setdefault(caption, len(self.numbers))

    def prompts(self) -> list[str]:
        """One prompt per class, all from the same random template."""
        template = self.random.choice(TEMPLATES)
        return [template.format(name) for name in self.classes]

    def tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """(texts, length) compact ids and (texts,) position of the end-of-text token.

        The last texts, one per class, are prompts. The others are names; each is put into a random
        template.
        """
        names = len(texts) - len(self.classes)
        named = [self.random.choice(TEMPLATES).format(text) for text in texts[:names]]
        return self.tokens_of(named + texts[names:])

    def tokens_of(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The same as `tokens`, but no text is put into a template."""
        rows = [self._compact(text) for text in texts]
        length = max(len(r) for r in rows)
        padded = [[*r, *[0] * (length - len(r))] for r in rows]
        return torch.tensor(padded), torch.tensor([len(r) - 1 for r in rows])

    def _compact(self, text: str) -> list[int]:
        if text not in self.cache:
            ids = [self.row[i] for i in self.encode(text) if i in self.row]
            self.cache[text] = [self.start, *ids[: LENGTH - 2], self.end]
        return self.cache[text]
