"""Running averages of one number or of several named numbers."""

from collections import defaultdict

import torch
from dassl.utils.errors import ConfigTypeError


class AverageMeter:
    """Last value and average of a number.

    ema: exponential moving average with factor 0.9 instead of the plain mean.
    """

    def __init__(self, ema: bool = False):
        self.ema = ema
        self.reset()

    def reset(self) -> None:
        """Reset value and average."""
        self.val = self.avg = self.sum = 0
        self.count = 0

    def update(self, val, n: int = 1) -> None:
        """Add the mean value of `n` samples."""
        if isinstance(val, torch.Tensor):
            val = val.item()
        self.val = val
        self.sum += val * n
        self.count += n
        if self.ema:
            self.avg = val if self.count == n else 0.9 * self.avg + 0.1 * val
        else:
            self.avg = self.sum / self.count


def check_metrics(found: dict | None) -> dict:
    """Return the result of a training step, {} for None. Raise ConfigTypeError for other types."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigTypeError(
            "forward_backward must return a dictionary of numbers (to be averaged), not "
            f"{type(found).__name__}"
        )
    return found


class MetricMeter:
    """An AverageMeter per name; printed as `loss 0.5000 (0.6000) acc 50.0000 (40.0000)`."""

    def __init__(self, delimiter: str = " "):
        self.meters: dict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict: dict | None) -> None:
        """Add one value per name; None adds nothing. Raise ConfigTypeError for other types."""
        for name, value in check_metrics(input_dict).items():
            self.meters[name].update(value)

    def __str__(self) -> str:
        return self.delimiter.join(
            f"{name} {meter.val:.4f} ({meter.avg:.4f})" for name, meter in self.meters.items()
        )
