"""Probabilities, labels, ramps of weights, and the moving average of a model."""

import math

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn
from torch.nn import functional as F


def sharpen_prob(p: Tensor, temperature: float = 2) -> Tensor:
    """Raise probabilities (batch, classes) to the power `temperature` and renormalise."""
    powers = p**temperature
    return powers / powers.sum(1, keepdim=True)


def reverse_index(data: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in reverse order."""
    return data.flip(0), label.flip(0)


def shuffle_index(data: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in the same random order, from torch's global random state."""
    order = torch.randperm(len(data))
    return data[order], label[order]


def create_onehot(label: Tensor, num_classes: int) -> Tensor:
    """(batch,) labels -> (batch, num_classes) of 0.0 and 1.0."""
    return F.one_hot(label.long(), num_classes).float()


def sigmoid_rampup(current: float, rampup_length: float) -> float:
    """Return exp(-5 (1 - t)^2) with t = current / rampup_length, clipped to [0, 1]."""
    return math.exp(-5 * (1 - linear_rampup(current, rampup_length)) ** 2)


def linear_rampup(current: float, rampup_length: float) -> float:
    """Return current / rampup_length clipped to [0, 1]. Raise ConfigValueError for length <= 0."""
    if rampup_length <= 0:
        raise ConfigValueError(f"the length of a ramp must be positive, not {rampup_length}")
    return float(min(max(current / rampup_length, 0), 1))


@torch.no_grad()
def ema_model_update(model: nn.Module, ema_model: nn.Module, alpha: float) -> None:
    """Set each parameter of ema to alpha * ema + (1 - alpha) * model; keep buffers."""
    for average, parameter in zip(ema_model.parameters(), model.parameters(), strict=True):
        average.mul_(alpha).add_(parameter, alpha=1 - alpha)
