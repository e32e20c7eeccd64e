"""Out-of-distribution (OOD) scores: one number a sample; larger always means more in-distribution.

`cosines`: (samples, K), unscaled cosines between image and class features. A classifier without
class features passes its logits divided by CLIP's logit scale instead. Scores on image features
are in feature_scores.py, scores against negative labels in clip/negatives/scores.py.

Degenerate input. A row with a NaN scores NaN, and the metrics reject it. With one class (K = 1) the
softmax is always 1, so mcm, msp, entropy, variance, kl_uniform and margin are constant; max_logit,
max_less_half_mean and energy still rank images. Large logits never overflow, but the softmax rounds
to 1 and scores tie: at a gap of 17 in fp32, of 37 in fp64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ueo.feature_scores import knn, mahalanobis


def mcm(cosines: Tensor, temperature: float = 1.0) -> Tensor:
    """Maximum concept matching, max_k softmax_k(cosines / T) (Ming et al., NeurIPS 2022).

    At temperature 1 this is both the score and the sample weight of the released UEO code.
    """
    return (cosines / temperature).softmax(-1).amax(-1)


def msp(cosines: Tensor, logit_scale: float | Tensor = 100.0) -> Tensor:
    """Maximum softmax probability (Hendrycks and Gimpel, ICLR 2017) of CLIP's own logits,
    max_k softmax_k(scale * cosines): MCM at temperature 1 / scale. OpenAI's scale is 100."""
    return mcm(cosines, 1 / logit_scale)


def max_logit(cosines: Tensor) -> Tensor:
    """The largest cosine (Hendrycks et al., ICML 2022)."""
    return cosines.amax(-1)


def max_less_half_mean(cosines: Tensor) -> Tensor:
    """The largest cosine minus half the mean cosine. To first order in the cosines s, and up to a
    constant, this is halfway between `max_logit` and log `mcm` at temperature 1, which is
    max s - mean s - log K.

    # choice: a score of this project. The largest cosine overrates an image that is near all
    # classes at once; MCM, which subtracts the whole mean, underrates it (docs/midway.md).
    """
    return cosines.amax(-1) - cosines.mean(-1) / 2


def sigmoid(cosines: Tensor, logit_scale: float | Tensor, logit_bias: float | Tensor) -> Tensor:
    """The largest pair probability, max_k sigmoid(scale * cosines + bias), of a model trained with
    a sigmoid loss (SigLIP, Zhai et al., ICCV 2023). It ranks images as `max_logit` does."""
    return (logit_scale * cosines + logit_bias).sigmoid().amax(-1)


def energy(cosines: Tensor, temperature: float = 1.0) -> Tensor:
    """Negative free energy, T * logsumexp(cosines / T) (Liu et al., NeurIPS 2020)."""
    return temperature * torch.logsumexp(cosines / temperature, -1)


def entropy(cosines: Tensor, temperature: float = 1.0) -> Tensor:
    """Negative entropy of p = softmax(cosines / T), sum_k p_k log p_k (as in the code of MCM)."""
    log_p = (cosines / temperature).log_softmax(-1)
    return (log_p.exp() * log_p).sum(-1)


def variance(cosines: Tensor, temperature: float = 1.0) -> Tensor:
    """Variance over classes of p = softmax(cosines / T), mean_k (p_k - 1/K)^2 (in MCM's code)."""
    p = (cosines / temperature).softmax(-1)
    return (p - 1 / p.shape[-1]).square().mean(-1)


def kl_uniform(cosines: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(U || p) from the uniform distribution to p = softmax(cosines / T), the divergence of
    GradNorm (Huang et al., NeurIPS 2021): -log K - mean_k log p_k.

    # choice: this direction, because KL(p || U) = log K - H(p) ranks images as `entropy` does.
    """
    return -(cosines / temperature).log_softmax(-1).mean(-1) - math.log(cosines.shape[-1])


def margin(cosines: Tensor) -> Tensor:
    """The largest cosine minus the second largest; 0 with one class.

    # choice: cosines need no temperature; "best versus second best" in active learning (Joshi et
    # al., CVPR 2009) uses probabilities.
    """
    if cosines.shape[-1] == 1:
        return 0 * cosines[..., 0]
    best, second = cosines.topk(2).values.unbind(-1)
    return best - second


def local_mcm(local: Tensor, temperature: float = 1.0) -> Tensor:
    """Local MCM, the largest MCM over an image's positions (Miyai et al., IJCV 2025).

    local: (samples, positions, K), unscaled cosines of local features.
    """
    return mcm(local, temperature).amax(-1)


def gl_mcm(
    cosines: Tensor, local_score: Tensor, weight: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """GL-MCM, MCM plus weight * local MCM (Miyai et al., IJCV 2025).

    local_score: (samples,), from `local_mcm` at the same temperature. The released code defaults to
    weight 1 and uses 0.5 on ImageNet.
    """
    return mcm(cosines, temperature) + weight * local_score


SCORES = {
    "mcm": mcm,
    "max_logit": max_logit,
    "max_less_half_mean": max_less_half_mean,
    "energy": energy,
    "entropy": entropy,
    "variance": variance,
    "kl_uniform": kl_uniform,
    "margin": margin,
}  # from cosines alone, so a run can report them during training
OF_SOFTMAX = ("mcm", "entropy", "variance", "kl_uniform", "margin")  # constant with one class
NEGLABEL, TANL = AGAINST_NAMES = ("neglabel", "tanl")  # use negative labels; a run reports them too


@dataclass(frozen=True)
class Score:
    """A score function and the outputs of a run (ueo/studies/scored_runs.py) that it takes."""

    function: Callable[..., Tensor]
    needs: tuple[str, ...] = ("cosines",)


def at_own_scale(function: Callable[..., Tensor]) -> Score:
    """The score at the temperature of the model's own logits, 1 / scale. Papers on classifiers mean
    this one; papers on CLIP often use unscaled cosines."""
    return Score(lambda cosines, scale: function(cosines, 1 / scale), ("cosines", "logit_scale"))


ALL_SCORES = {
    **{name: Score(function) for name, function in SCORES.items()},
    "msp": Score(msp, ("cosines", "logit_scale")),
    "sigmoid": Score(sigmoid, ("cosines", "logit_scale", "logit_bias")),
    "energy_logits": at_own_scale(energy),
    "gl_mcm": Score(gl_mcm, ("cosines", "local_score")),
    "mahalanobis": Score(mahalanobis, ("features", "train_features", "train_labels")),
    "knn": Score(knn, ("features", "train_features", "train_labels")),
    **{name: Score(lambda kept: kept, (name,)) for name in AGAINST_NAMES},
}
