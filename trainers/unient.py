"""Unified entropy optimisation, UniEnt (Gao et al., CVPR 2024, arXiv:2404.06065).

Reference: github.com/gaozhengqing/UniEnt, on Tent. A mixture of two Gaussians splits the images
into known and unknown ones by the frozen model's largest cosine. Predictions on known images are
sharpened, those on unknown ones flattened, and the mean prediction is kept spread:

    L = mean_known H(p_i) - unknown_weight * mean_unknown H(p_i) - trade_off * H(mean_i p_i)

UEO weights images by confidence where UniEnt splits them. Two departures:
- released code: fits the mixture to each batch of a stream; here all images are there at the start,
  so it is fitted once, to all of them, by the zero-shot model.
- released code: the mean of an empty group is NaN; here it is 0, since a batch may lack a group.
"""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import unified_entropy
from ueo.open_set import separation, upper_share
from ueo.scores import max_logit, msp
from ueo.settings.options import Option
from ueo.trainers.entmin import EntMin

SPLITS = {  # the score that is split, of (cosines, logit scale)
    "max_cosine": lambda cosines, scale: max_logit(cosines),
    "msp": msp,  # as CLIPTTA's authors run UniEnt on CLIP, theirs by the current model
}


@TRAINER_REGISTRY.register()
class UniEnt(EntMin):
    by_image = False
    per_group = True  # a term is the mean over its group
    defaults = {
        # released code: both are among 1.0, 0.5, 0.2 and 0.1; the default of the first is 0.5, the
        # second has none
        "TRADE_OFF": Option(0.5, low=0),  # factor of the marginal entropy
        "UNKNOWN_WEIGHT": Option(0.5, low=0),  # factor of the entropy of unknown images
        "SPLIT": Option("max_cosine", choices=SPLITS),
    }

    def prepare(self, zero_shot: Tensor) -> None:
        super().prepare(zero_shot)
        # released code: rescales 1 - score to [0, 1] first, which changes no share; its frozen
        # model uses batch statistics too, these scores use CLIP's
        scores = SPLITS[self.options.SPLIT](zero_shot, self.model.logit_scale).numpy()
        known = self.sides(torch.from_numpy(upper_share(scores)).float())
        self.known = known.to(self.device)  # (images,)
        self.notes["split"] = {"known": known.mean().item(), "separation": separation(scores)}

    def sides(self, share: Tensor) -> Tensor:
        """Return (images,): 1 for known images, 0 for others. share: (images,), probabilities."""
        return (share >= 0.5).float()

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        known, unknown, marginal = unified_entropy(
            prob, self.known[batch["index"].to(self.device)], self.options.TRADE_OFF,
            self.options.UNKNOWN_WEIGHT, self.per_group,
        )
        loss = known + unknown + marginal
        return {"loss": loss, "known": known, "unknown": unknown, "marginal": marginal}
