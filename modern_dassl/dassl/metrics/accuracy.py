"""Top-k accuracy."""

import torch
from dassl.utils import ConfigValueError
from torch import Tensor


@torch.no_grad()
def compute_accuracy(output, target: Tensor, topk=(1,)) -> list[Tensor]:
    """Return the accuracy in percent for each k of `topk`, tensors of shape (1,).

    output: (batch, classes) scores, or a tuple or list that starts with them.
    target: (batch,) labels.

    Raise ConfigValueError for a k above the number of classes, or an empty batch.
    """
    if isinstance(output, tuple | list):
        output = output[0]
    batch, classes = output.shape
    if max(topk) > classes:
        raise ConfigValueError(f"top-{max(topk)} accuracy is not defined for {classes} classes")
    if batch == 0:
        raise ConfigValueError("the accuracy of an empty batch is not defined")
    ranked = output.topk(max(topk), dim=1).indices  # (batch, max k)
    hits = ranked == target.view(-1, 1)
    return [hits[:, :k].any(1).float().sum().mul(100 / batch).view(1) for k in topk]
