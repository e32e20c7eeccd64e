"""Training objectives as pure functions of tensors, mostly of probabilities.

They read no configuration and have no side effects. Names and equations follow the paper that each
docstring cites. tests/ueo checks every function against an independent NumPy formula.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5  # inside the logarithm, as in the released UEO code
EXACT = 1e-30  # too small to change an entropy, yet makes 0 log 0 = 0


def entropy(prob: Tensor, eps: float = EPS) -> Tensor:
    """Shannon entropy in nats over the last axis.

    prob: (..., classes), rows sum to 1.  Returns (...).
    """
    return -(prob * torch.log(prob + eps)).sum(-1)


def weighted_mean(prob: Tensor, weight: Tensor) -> Tensor:
    """Mean prediction sum_i w_i p_i / sum_i w_i.

    prob: (batch, classes); weight: (batch,), positive.  Returns (classes,), which sums to 1.
    """
    return (weight[:, None] * prob).sum(0) / weight.sum()


DOUBTS = {  # decreasing functions of the confidence w, the Phi of UEO's section 3.2
    "inverse": lambda weight: 1 / weight,  # as in the released code
    "linear": lambda weight: 1 - weight + EPS,
    "exponential": lambda weight: torch.exp(-weight),
    "uniform": torch.ones_like,
}


def universal_entropy(
    prob: Tensor, weight: Tensor, trade_off: float = 1.0, doubt: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The two terms whose sum UEO minimises (arXiv:2308.12919, Eq. 4).

    prob:      (batch, classes), softmax of the scaled logits.
    weight:    (batch,), positive confidence of the zero-shot model; larger: more likely known.
    trade_off: factor of the marginal entropy, 1 in the paper.
    doubt:     (batch,), weights of the mean prediction, larger for doubtful samples; or 1 / weight.

    Returns the confidence-weighted conditional entropy and the negative entropy of the weighted
    mean prediction, each a scalar. With equal weights the sum is information maximisation.
    """
    doubt = 1 / weight if doubt is None else doubt
    conditional = (weight * entropy(prob)).sum() / weight.sum()
    marginal = entropy(weighted_mean(prob, doubt))
    return conditional, -trade_off * marginal


def entropy_difference(
    prob: Tensor, weight: Tensor, doubt: Tensor, trade_off: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The alternative that the UEO paper rejects (Eq. 3): lower the entropy of each confident
    sample and raise that of each doubtful one. Arguments and returns as in universal_entropy."""
    each = entropy(prob)
    conditional = (weight * each).sum() / weight.sum()
    return conditional, -trade_off * (doubt * each).sum() / doubt.sum()


def information_maximisation(prob: Tensor, trade_off: float = 1.0) -> tuple[Tensor, Tensor]:
    """Mean entropy, and negative entropy of the mean prediction (SHOT-IM, Liang et al., ICML 2020,
    Eq. 3); two scalars whose sum is minimised. prob: (batch, classes)."""
    return entropy(prob).mean(), -trade_off * entropy(prob.mean(0))


def mutual_information(prob: Tensor) -> float:
    """Mutual information of image and predicted class over its maximum, log(classes): 1 if every
    prediction is certain and all classes are predicted equally often, 0 if all images get the same
    prediction. prob: (images, classes)."""
    if prob.shape[1] == 1:
        return 0.0
    found = -sum(information_maximisation(prob.double())) / math.log(prob.shape[1])
    return max(float(found), 0.0)


def transport_cost(cosines: Tensor, logits: Tensor) -> Tensor:
    """Bidirectional transport between images and class prompts (POUF, Tanwisuth et al., ICML 2023,
    Eq. 3-5): the expected cost, 1 - cosine, of moving each image to a class, plus that of moving
    each class to an image.

    cosines, logits: (batch, classes).  Returns a scalar.
    """
    cost = 1 - cosines
    to_classes = (cost * logits.softmax(1)).sum(1).mean()
    to_images = (cost * logits.softmax(0)).sum(0).mean()
    return to_classes + to_images


def neighbourhood_entropy(logits: Tensor, to_memory: Tensor, to_batch: Tensor) -> Tensor:
    """Mean entropy of each sample's similarity to the classes, to the memory bank and to its batch
    (neighbourhood clustering of DANCE, Saito et al., NeurIPS 2020, Eq. 4-6).

    logits: (batch, classes); to_memory: (batch, images); to_batch: (batch, batch). All are divided
    by their temperatures already; -inf, or a very small value, masks a pair.  Returns a scalar.
    """
    prob = torch.cat([logits, to_memory, to_batch], dim=1).softmax(1)
    return entropy(prob).mean()


def entropy_separation(prob: Tensor, threshold: float, margin: float) -> Tensor:
    """Push each prediction's entropy away from `threshold` (DANCE, Eq. 7-8). Entropies within
    `margin` of it have no gradient.

    prob: (batch, classes).  Returns a scalar to minimise.
    """
    return -(entropy(prob) - threshold).abs().clamp(min=margin).mean()


def candidate_loss(logits: Tensor, candidates: Tensor) -> Tensor:
    """Mean over images of -log of the summed probability of their candidate labels (Feng et al.,
    NeurIPS 2020, the classifier-consistent loss). Images without candidates are left out; if no
    image has any, the loss is 0.

    logits: (batch, K), scaled; candidates: (batch, K) bool.  Returns a scalar.
    """
    used = candidates.any(-1)
    allowed = candidates | ~used[:, None]  # an image left out allows every label: -log 1
    chosen = logits.masked_fill(~allowed, -torch.inf).logsumexp(-1)
    return (used * (logits.logsumexp(-1) - chosen)).sum() / used.sum().clamp(min=1)


def contrastive(logits: Tensor) -> Tensor:
    """CLIP's symmetric loss (Radford et al., ICML 2021, Fig. 3): the mean of the image-to-text and
    the text-to-image cross-entropy.

    logits: (pairs, pairs), scaled cosines, images by texts; the diagonal holds the positive pairs,
    everything else is a negative.  Returns a scalar.
    """
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def unified_entropy(
    prob: Tensor, known: Tensor, trade_off: float, unknown_weight: float, per_group: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The three terms whose sum UniEnt minimises (Gao et al., CVPR 2024, arXiv:2404.06065): entropy
    of the known images, negative entropy of the unknown ones, negative entropy of the mean
    prediction, each a scalar.

    prob:      (batch, classes).
    known:     (batch,), probability that an image is of a known class; 0 or 1 for a hard split.
    per_group: average over each group (UniEnt; 0 for an empty group), else over the whole batch
               (UniEnt+).
    """
    each = entropy(prob, EXACT)
    sharpened, flattened = (
        (share * each).sum() / (share.sum().clamp(min=1) if per_group else len(each))
        for share in (known, 1 - known)
    )
    return sharpened, -unknown_weight * flattened, -trade_off * entropy(prob.mean(0), EXACT)


def soft_contrastive(logits: Tensor, known: Tensor, both_ways: bool = False) -> Tensor:
    """CLIP's contrastive loss for uncertain pairs (CLIPTTA, Lafon et al., NeurIPS 2025,
    arXiv:2507.14312). Each image is paired with the prompt of its predicted class. The loss is the
    entropy of an image over the texts of its batch, not the cross-entropy with its own text.
    Returns the mean over known images, a scalar.

    logits: (batch, classes), scaled cosines.  known: (batch,), bool, at least one true; the other
    images and their texts are left out.  both_ways: average with the entropy of a text over images.
    """
    pairs = logits[:, logits.argmax(1)]  # (batch, batch), images by texts
    ways = torch.stack([pairs, pairs.T] if both_ways else [pairs])
    prob = ways.masked_fill(~known, -torch.inf).softmax(-1)
    return (known * entropy(prob, EXACT)).sum() / (len(ways) * known.sum())


def outlier_exposure(scores: Tensor, threshold: Tensor, width: float) -> Tensor:
    """Outlier contrastive exposure (CLIPTTA): push the mean scores of known and of unknown images
    apart, -(mean_known - mean_unknown)^2. A sigmoid around `threshold` weights the images.

    scores: (batch,), larger: more likely known.  threshold: a scalar.  width: of the sigmoid.
    """
    distance = (scores - threshold) / width
    known, unknown = distance.sigmoid(), (-distance).sigmoid()
    means = [(share * scores).sum() / share.sum() for share in (known, unknown)]
    return -((means[0] - means[1]) ** 2)


def halfway(scores: Tensor) -> Tensor:
    """Halfway between the two groups of `open_set.otsu_threshold`, computed on the device of the
    scores (batch,): a scalar without gradient. If all scores are equal, it is their value."""
    count, ordered = len(scores), scores.detach().double().sort().values
    if count == 1:
        return scores.detach()[0]
    below = torch.arange(1, count, device=scores.device)  # size of the lower group
    sums = (ordered - ordered.mean()).cumsum(0)[:-1]
    between = sums**2 / (below * (count - below))  # variance between the groups, times a constant
    between = between.masked_fill(ordered[1:] == ordered[:-1], -1)  # equal scores stay together
    best = between.argmax(0, keepdim=True)
    return ((ordered[1:] + ordered[:-1]) / 2)[best][0].to(scores.dtype)
