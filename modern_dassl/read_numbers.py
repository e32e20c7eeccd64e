"""Read numbers from a device.

A read waits until the device has finished all queued work. So the losses of training steps stay
tensors, and many are read at a time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def read_numbers(tensors: Sequence[Tensor]) -> list[float]:
    """Return the values of one-element tensors, with one read per device and dtype."""
    kinds: dict[tuple, list[int]] = {}
    for position, tensor in enumerate(tensors):
        kinds.setdefault((tensor.device, tensor.dtype), []).append(position)
    values = [0.0] * len(tensors)
    for positions in kinds.values():
        together = torch.stack([tensors[i].detach().reshape(()) for i in positions])
        for i, value in zip(positions, together.tolist()):
            values[i] = value
    return values
