"""Out-of-distribution scores: logits (samples, classes) -> one score a sample (samples,).

One sign everywhere: larger means more in-distribution. `logits` are unscaled cosines between image
and class features, in [-1, 1], unless said otherwise.
"""

import torch
from torch import Tensor


def mcm(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Maximum concept matching, max_k softmax_k(logits / temperature) (Ming et al., NeurIPS 2022).

    With temperature 1 on unscaled cosines this is both the score and the sample weight of the
    released UEO code.
    """
    return (logits / temperature).softmax(-1).amax(-1)


def max_logit(logits: Tensor) -> Tensor:
    """The largest cosine (Hendrycks et al., ICML 2022)."""
    return logits.amax(-1)


def energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Negative free energy, T * logsumexp(logits / T) (Liu et al., NeurIPS 2020)."""
    return temperature * torch.logsumexp(logits / temperature, -1)


SCORES = {"mcm": mcm, "max_logit": max_logit, "energy": energy}
