"""Mixup of images and their labels. Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018.
"""

import torch
from torch import Tensor


def mixup(
    x1: Tensor, x2: Tensor, y1: Tensor, y2: Tensor, beta: float, preserve_order: bool = False
) -> tuple[Tensor, Tensor]:
    """Return w x1 + (1 - w) x2 and w y1 + (1 - w) y2, with w from Beta(beta, beta) for each pair.

    x1, x2: images (batch, channels, height, width). y1, y2: probabilities (batch, classes).
    preserve_order: make w at least 1/2, so the result is closer to x1.
    """
    weight = torch.distributions.Beta(beta, beta).sample([len(x1), 1, 1, 1])
    if preserve_order:
        weight = torch.max(weight, 1 - weight)
    weight = weight.to(x1.device)
    flat = weight[:, :, 0, 0]
    return weight * x1 + (1 - weight) * x2, flat * y1 + (1 - flat) * y2
