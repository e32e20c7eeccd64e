"""Tensors that hold NaN or infinity, by their names."""

import torch


def first_not_finite(state: dict) -> str | None:
    """Name of the first tensor of a state dict that is not finite everywhere; None if all are."""
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                return name
    return None
