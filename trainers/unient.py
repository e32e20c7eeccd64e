"""Unified entropy optimisation, UniEnt (Gao et al., CVPR 2024, arXiv:2404.06065).

Reference: github.com/gaozhengqing/UniEnt, on Tent. The frozen model parts the images by their
largest cosine, as one of two Gaussians. Predictions on the known side are sharpened, those on the
other side flattened, and the mean prediction is kept spread:

    L = mean_known H(p_i) - unknown_weight * mean_unknown H(p_i) - trade_off * H(mean_i p_i)

UEO weighs by confidence what UniEnt splits. Two departures:
- released code: fits the mixture to each batch, as images come in a stream; here all images are
  there at the start, so it is fitted once to all of them, by the zero-shot model.
- released code: a mean over no image is not a number; here it is 0, for a batch may lack a group.
"""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import unified_entropy
from ueo.open_set import separation, upper_share
from ueo.scores import max_logit, msp
from ueo.settings.options import Option
from ueo.trainers.entmin import EntMin

SPLITS = {  # what tells the sides apart, of (cosines, logit scale)
    "max_cosine": lambda cosines, scale: max_logit(cosines),
    "msp": msp,  # as CLIPTTA's authors run UniEnt on CLIP, by the model as it is
}


@TRAINER_REGISTRY.register()
class UniEnt(EntMin):
    by_image = False
    per_group = True  # a term is the mean of its side
    defaults = {
        # released code: both from 1.0, 0.5, 0.2 and 0.1; the first is 0.5 unless set, the second
        # has no default
        "TRADE_OFF": Option(0.5, low=0),  # factor of the marginal entropy
        "UNKNOWN_WEIGHT": Option(0.5, low=0),  # factor of the entropy of unknown images
        "SPLIT": Option("max_cosine", choices=SPLITS),
    }

    def prepare(self, zero_shot: Tensor) -> None:
        super().prepare(zero_shot)
        # released code: scales 1 - score to [0, 1] first, which changes no share; its frozen model
        # takes the statistics of the batch as well, these scores those of CLIP
        scores = SPLITS[self.options.SPLIT](zero_shot, self.model.logit_scale).numpy()
        known = self.sides(torch.from_numpy(upper_share(scores)).float())
        self.known = known.to(self.device)  # (images,)
        self.notes["split"] = {"known": known.mean().item(), "separation": separation(scores)}

    def sides(self, share: Tensor) -> Tensor:
        """(images,): 1 for the known side, 0 for the other. share: (images,), probability."""
        return (share >= 0.5).float()

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        known, unknown, marginal = unified_entropy(
            prob, self.known[batch["index"].to(self.device)], self.options.TRADE_OFF,
            self.options.UNKNOWN_WEIGHT, self.per_group,
        )
        loss = known + unknown + marginal
        return {"loss": loss, "known": known, "unknown": unknown, "marginal": marginal}
