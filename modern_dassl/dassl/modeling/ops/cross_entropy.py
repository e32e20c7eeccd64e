"""Cross-entropy with smoothed labels."""

from dassl.utils import ConfigValueError
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    input: Tensor, target: Tensor, label_smooth: float = 0, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy of logits (batch, classes) and labels (batch,).

    label_smooth: probability that is spread over all classes.
    reduction: mean, sum or none. Raise ConfigValueError for another one.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ConfigValueError(f"reduction must be mean, sum or none, not {reduction!r}")
    return F.cross_entropy(input, target, reduction=reduction, label_smoothing=label_smooth)
