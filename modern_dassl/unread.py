"""Numbers on a device that the host has not read yet.

A read waits until the device has finished all queued work. So numbers stay tensors, and many are
read at a time.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def read(tensors: Sequence[Tensor]) -> list[float]:
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


class UnreadLosses:
    """Unread losses of training steps, with the names of the steps."""

    def __init__(self):
        self._losses: list[tuple[str, Tensor]] = []

    def add(self, step: str, loss: Tensor) -> None:
        self._losses.append((step, loss.detach()))

    def first_not_finite(self) -> str | None:
        """Read and drop all losses; return the first step with an infinite or NaN loss."""
        steps = [step for step, _ in self._losses]
        values = read([loss for _, loss in self._losses])
        self._losses.clear()
        return next((s for s, value in zip(steps, values) if not math.isfinite(value)), None)


class UnreadSteps:
    """Results of training steps ({name: number or one-element tensor}), kept until `read`."""

    def __init__(self):
        self._steps: list[tuple[int, float, dict]] = []

    def add(self, number: int, rate: float, losses: dict) -> None:
        """number: of the step; rate: its learning rate."""
        kept = {n: v.detach() if isinstance(v, Tensor) else v for n, v in losses.items()}
        self._steps.append((number, rate, kept))

    def read(self) -> list[tuple[int, float, dict]]:
        """Return (number, rate, {name: number}) of the steps since the last call."""
        steps, self._steps = self._steps, []
        tensors = [v for *_, losses in steps for v in losses.values() if isinstance(v, Tensor)]
        values = iter(read(tensors))
        return [
            (number, rate, {n: next(values) if isinstance(v, Tensor) else v
                            for n, v in losses.items()})
            for number, rate, losses in steps
        ]
