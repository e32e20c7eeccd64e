"""OOD scores against names that no class has; larger: more in-distribution, from 0 to 1.

Cosines with names are (samples, M), in the order of groups or of activation; those with classes are
(samples, K). `logit_scale`, the model's, turns both into logits. A row with a NaN scores NaN.
Scores are fp64.

Reference: github.com/YBZh/OpenOOD-VLM, openood/postprocessors, oneoodprompt_postprocessor.py and
activated_neg_postprocessor.py.
"""

import torch
from torch import Tensor

from ueo.clip.negatives.mining import GROUP

ACTIVATED = 1000  # names that TANL keeps, as released
MARGIN = 0.5  # share of the way from the threshold to 0 or 1 for a confident image; as released


def neglabel(cosines: Tensor, negatives: Tensor, logit_scale: float, group: int = GROUP) -> Tensor:
    """Return NegLabel (Jiang et al., ICLR 2024), (samples,): the total probability of the classes
    under a softmax over classes and one group of names, averaged over groups.

    group: approximate size; there are M // group groups of equal size, at least one. Names that are
    left over are not used, as released.
    """
    groups = max(negatives.shape[-1] // group, 1)
    size = negatives.shape[-1] // groups
    parted = negatives[..., : groups * size].unflatten(-1, (groups, size))
    known = (logit_scale * cosines).logsumexp(-1, keepdim=True)
    odds = known - (logit_scale * parted).logsumexp(-1)  # log odds of the classes
    return odds.double().sigmoid().mean(-1)  # fp32 would round confident images to 1


def confident(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return which images (samples,) are confidently known and which confidently unknown: their
    score is more than MARGIN of the way from the threshold to 1, or to 0."""
    return (scores > threshold + MARGIN * (1 - threshold), scores < threshold - MARGIN * threshold)


def mass(cosines: Tensor, negatives: Tensor, logit_scale: float) -> Tensor:
    """Return each name's probability, (samples, M), under a softmax over classes and names."""
    logits = logit_scale * torch.cat([cosines, negatives], dim=-1)
    return logits.softmax(-1)[..., cosines.shape[-1] :]


def tanl(cosines: Tensor, activated: Tensor, logit_scale: float) -> Tensor:
    """Return TANL's score, (samples,): the total probability of the classes under a softmax over
    classes and the first n names, averaged over n = 1, ..., M.

    activated: (samples, M), cosines of names by falling activation: the mean of `mass` over
    confidently unknown images minus that over confidently known ones.
    """
    known = (logit_scale * cosines).logsumexp(-1, keepdim=True)
    odds = (logit_scale * activated - known).double().exp().cumsum(-1)  # n names vs. classes
    return (1 / (1 + odds)).mean(-1)
