"""Find tensors that contain NaN or infinity."""

import torch


def first_not_finite(state: dict) -> str | None:
    """Return the name of the first tensor of a state dict that is not finite; None if all are."""
    for name, value in state.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            if not torch.isfinite(value).all():
                return name
    return None
