"""Objectives as pure functions of probabilities: tensors in, tensors out.

No configuration, no device, no side effect. Names and equations follow the papers named at each
function; every function is checked against an independent NumPy formula in tests/ueo.
"""

import torch
from torch import Tensor

EPS = 1e-5  # inside the logarithm, as in the released UEO code


def entropy(prob: Tensor, eps: float = EPS) -> Tensor:
    """Shannon entropy in nats of distributions along the last axis.

    prob: (..., classes), rows sum to 1.  Returns (...).
    """
    return -(prob * torch.log(prob + eps)).sum(-1)


def inverse_weighted_mean(prob: Tensor, weight: Tensor) -> Tensor:
    """Mean prediction in which doubtful samples count most: sum_i (p_i / w_i) / sum_i (1 / w_i).

    prob: (batch, classes); weight: (batch,), positive.  Returns (classes,), which sums to 1.
    """
    doubt = 1 / weight  # (batch,)
    return (doubt[:, None] * prob).sum(0) / doubt.sum()


def universal_entropy(
    prob: Tensor, weight: Tensor, trade_off: float = 1.0, eps: float = EPS
) -> tuple[Tensor, Tensor]:
    """The two terms of UEO, which minimises their sum (arXiv:2308.12919, Eq. 4).

    prob:      (batch, classes), softmax of the scaled logits.
    weight:    (batch,), positive confidence of the zero-shot model; larger: more likely known.
    trade_off: factor of the marginal entropy, 1 in the paper.

    Returns the confidence-weighted conditional entropy and the negative entropy of the inversely
    weighted mean prediction, each a scalar. With equal weights the sum is information maximisation.
    """
    conditional = (weight * entropy(prob, eps)).sum() / weight.sum()
    marginal = entropy(inverse_weighted_mean(prob, weight), eps)
    return conditional, -trade_off * marginal
