"""What stands between image features and cosines: nothing, or a small network of a method's.

An adapter takes unit image features (batch, D) and unit class features (K, D) and gives cosines
(batch, K), which the logit scale turns into logits. An adapter that adds to the logits divides what
it adds by that scale, so that its sum can be compared with cosines: they are what the evaluator and
its scores receive. Adapters compute in fp32, whatever the towers do.
"""

import torch
from torch import Tensor, nn


class Cosines(nn.Module):
    """CLIP's own: the product of both features."""

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        return features @ class_features.T


class Cache(nn.Module):
    """Tip-Adapter's key-value cache (Zhang et al., ECCV 2022, Eq. 4-6): an image is also what its
    neighbours among the keys are,

        cosines = f T' + strength * exp(-sharpness * (1 - f keys')) values

    rows, classes, embedding: keys are (rows, embedding), values (rows, classes). A row of zeros
    among the values counts for nothing, and all are zeros until `fill`.
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
        """keys: (images, embedding), unit vectors, no more than there are rows; labels: (images,).
        """
        used = torch.arange(len(keys))
        self.keys[used] = keys.to(self.keys)
        self.values.zero_()
        self.values[used, labels] = 1

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features = features.float()
        affinity = torch.exp(-self.sharpness * (1 - features @ self.keys.T))  # (batch, rows)
        return features @ class_features.float().T + self.strength * (affinity @ self.values)
