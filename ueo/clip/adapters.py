"""Adapters: what maps image and class features to cosines, an inner product or a method's network.

An adapter takes unit image features (batch, D) and unit class features (K, D) and gives cosines
(batch, K), which are multiplied by the logit scale. An adapter that adds to the logits divides what
it adds by that scale, because the evaluator and its scores expect cosines. Adapters compute in
fp32, whatever the precision of the towers.
"""

import torch
from torch import Tensor, nn


class Cosines(nn.Module):
    """CLIP's own: the inner product of both features."""

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        return features @ class_features.T


class Cache(nn.Module):
    """Tip-Adapter's key-value cache (Zhang et al., ECCV 2022, Eq. 4-6), which adds to an image's
    cosines the labels of the keys near it:

        cosines = f T' + strength * exp(-sharpness * (1 - f keys')) values

    rows, classes, embedding: keys are (rows, embedding), values (rows, classes). A row whose values
    are zeros has no effect; all are zeros until `fill`.
    strength: the paper's alpha, divided by the logit scale. sharpness: its beta.
    """

    def __init__(
        self, rows: int, classes: int, embedding: int, strength: float, sharpness: float
    ):
        super().__init__()
        self.keys = nn.Parameter(torch.zeros(rows, embedding))
        self.register_buffer("values", torch.zeros(rows, classes))
        self.strength, self.sharpness = strength, sharpness

    @torch.no_grad()
    def fill(self, keys: Tensor, labels: Tensor) -> None:
        """Store keys, unit vectors (images, embedding), at most `rows`, and labels (images,)."""
        used = torch.arange(len(keys))
        self.keys[used] = keys.to(self.keys)
        self.values.zero_()
        self.values[used, labels] = 1

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features = features.float()
        affinity = torch.exp(-self.sharpness * (1 - features @ self.keys.T))  # (batch, rows)
        return features @ class_features.float().T + self.strength * (affinity @ self.values)
