"""TransCLIP (Zanella et al., NeurIPS 2024, arXiv:2406.01837) and StatA (Zanella et al., CVPR 2025,
arXiv:2501.03729): one Gaussian a class in feature space, tied to CLIP's text features.

Image i has the unit feature f_i and CLIP's probabilities p_i; class k has a Gaussian with mean mu_k
and diagonal variance s_k. Updates of the posterior z_ik alternate with updates of mu and s:

    log z_ik = log p_ik + (l_ik + (WEIGHT / NEIGHBOURS) [(W + W') z]_ik) / TEMPERATURE + const_i

with l_ik the log-likelihood of f_i and W the cosines of each image with its nearest neighbours.
StatA anchors the Gaussians to the text: the fewer images a class has, the closer mu_k stays to its
text feature, and s_k to the spread of all images about the texts. TransCLIP uses only the images'
statistics, and one variance for all classes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ueo.transduction.neighbours import Graph, affinity

NEIGHBOURS, WEIGHT, TEMPERATURE = 3, 50.0 / 2, 50.0
ROUNDS, STEPS = 10, 5  # updates of mean and variance; steps of the posterior in each
CONFIDENT = 8  # images a class for the initial means of TransCLIP
LEAST_VARIANCE = 1e-6  # the variance would vanish if each of few images had its own class
LEAST = 1e-12  # least total weight of a class, so that an empty class does not divide by zero


@dataclass(frozen=True)
class Mixture:
    """means, variances: (classes, embedding); posterior: (images, classes), of the images that the
    mixture was fitted to."""

    means: Tensor
    variances: Tensor
    posterior: Tensor


def log_likelihood(features: Tensor, means: Tensor, variances: Tensor) -> Tensor:
    """-1/2 sum_d ((f_d - mu_d)^2 / s_d + log s_d), up to a constant: (images, classes)."""
    precision = 1 / variances
    squares = features.square() @ precision.T - 2 * features @ (means * precision).T
    return -0.5 * (squares + (means.square() * precision + variances.log()).sum(1))


def posterior(log_prior: Tensor, likelihood: Tensor, graph: Graph, start: Tensor) -> Tensor:
    """z after STEPS fixed-point steps. graph: W + W'; the others: (images, classes)."""
    base, z = log_prior + likelihood / TEMPERATURE, start
    for _ in range(STEPS):
        z = (base + WEIGHT / NEIGHBOURS / TEMPERATURE * (graph @ z)).softmax(-1)
    return z


def fit(features: Tensor, texts: Tensor, scale: float, anchored: bool) -> Mixture:
    """Fit the Gaussians of the classes.

    features: (images, embedding), texts: (classes, embedding), unit vectors, fp32; scale: CLIP's
    logit scale. anchored: StatA, else TransCLIP.
    """
    log_prior = (scale * features @ texts.T).log_softmax(-1)
    z, graph = log_prior.exp(), affinity(features, NEIGHBOURS)
    if anchored:
        spread = _shared(features, texts, z)
        means, variances = texts, spread.expand_as(texts)
    else:
        means = _of_confident(features, z)
        variances = torch.full_like(texts, 1 / features.shape[1])
    for _ in range(ROUNDS):
        z = posterior(log_prior, log_likelihood(features, means, variances), graph, z)
        if anchored:
            counts = z.argmax(1).bincount(minlength=len(texts)).to(z)
            trust = (counts / (1 + counts))[:, None]
            means = F.normalize(trust * _means(features, z) + (1 - trust) * texts, dim=-1)
            own = _variances(features, means, z)
            variances = trust * own + (1 - trust) * (spread + (texts - means).square())
        else:
            means = _means(features, z)
            variances = _shared(features, means, z).clamp(min=LEAST_VARIANCE).expand_as(texts)
    z = posterior(log_prior, log_likelihood(features, means, variances), graph, z)
    return Mixture(means, variances, z)


def _of_confident(features: Tensor, z: Tensor) -> Tensor:
    """Normalised mean of each class's CONFIDENT most probable images, weighted by z."""
    weight, index = z.topk(min(CONFIDENT, len(z)), dim=0)  # (images, classes)
    return F.normalize((weight[..., None] * features[index]).sum(0), dim=-1)


def _share(z: Tensor) -> Tensor:
    return z.sum(0)[:, None].clamp(min=LEAST)


def _means(features: Tensor, z: Tensor) -> Tensor:
    return F.normalize(z.T @ features / _share(z), dim=-1)


def _variances(features: Tensor, means: Tensor, z: Tensor) -> Tensor:
    """z-weighted variances about the means: (classes, embedding)."""
    about = z.T @ features.square() - 2 * means * (z.T @ features)
    return about / _share(z) + means.square()


def _shared(features: Tensor, means: Tensor, z: Tensor) -> Tensor:
    """Variance shared by all classes, weighted by their share of the images: (embedding,)."""
    return (_variances(features, means, z) * _share(z)).sum(0) / len(features)
