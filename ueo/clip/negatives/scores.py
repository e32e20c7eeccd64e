"""OOD scores against names that no class has; larger: more in-distribution, from 0 to 1.

The names' cosines are (samples, M), in the order of their groups or of their activation; those of
the classes (samples, K). `logit_scale` turns both into logits, as the model's own. A row with a NaN
scores NaN. Scores are fp64.

Reference: github.com/YBZh/OpenOOD-VLM, openood/postprocessors, oneoodprompt_postprocessor.py and
activated_neg_postprocessor.py.
"""

import torch
from torch import Tensor

from ueo.clip.negatives.mining import GROUP

ACTIVATED = 1000  # names that TANL keeps, as released
MARGIN = 0.5  # as released: how far beyond the threshold a confident image is, of the way to 0 or 1


def neglabel(cosines: Tensor, negatives: Tensor, logit_scale: float, group: int = GROUP) -> Tensor:
    """NegLabel (Jiang et al., ICLR 2024): the probability of all classes together, by a softmax
    over them and one group of names, on average over groups; (samples,).

    group: names in one, roughly: M // group groups of equal size, one at least; what is left over
    is not used, as released.
    """
    groups = max(negatives.shape[-1] // group, 1)
    size = negatives.shape[-1] // groups
    parted = negatives[..., : groups * size].unflatten(-1, (groups, size))
    known = (logit_scale * cosines).logsumexp(-1, keepdim=True)
    odds = known - (logit_scale * parted).logsumexp(-1)  # in logarithms, of the classes
    return odds.double().sigmoid().mean(-1)  # in fp32 a sure image's would round to 1


def confident(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Which images (samples,) are surely known and which surely unknown, by a score from 0 to 1:
    more than MARGIN of the way from the threshold to 1, or to 0."""
    return (scores > threshold + MARGIN * (1 - threshold), scores < threshold - MARGIN * threshold)


def mass(cosines: Tensor, negatives: Tensor, logit_scale: float) -> Tensor:
    """Probability of each name, (samples, M), by a softmax over classes and names."""
    logits = logit_scale * torch.cat([cosines, negatives], dim=-1)
    return logits.softmax(-1)[..., cosines.shape[-1] :]


def tanl(cosines: Tensor, activated: Tensor, logit_scale: float) -> Tensor:
    """TANL's score: the probability of all classes together, by a softmax over them and the first
    n names, on average over n = 1, ..., M; (samples,).

    activated: (samples, M), cosines of names in the order of their activation: the mean of `mass`
    over surely unknown images less that over surely known ones, largest first.
    """
    known = (logit_scale * cosines).logsumexp(-1, keepdim=True)
    odds = (logit_scale * activated - known).double().exp().cumsum(-1)  # of n names to the classes
    return (1 / (1 + odds)).mean(-1)
