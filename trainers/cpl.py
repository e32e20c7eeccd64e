"""Candidate pseudo-label learning, CPL (Zhang et al., ICML 2024, arXiv:2406.10502).

Reference: github.com/vanillaer/CPL-ICML2024. Instead of one pseudo-label, which may be wrong, each
unlabelled image has a set S of candidate labels. The sets are computed once an epoch from the
predictions of all images (`candidate_labels`). The loss is that of Feng et al. (NeurIPS 2020) for
partial labels, which learns only that the label is one of the candidates:

    L = mean_i -log sum_{j in S_i} p_ij    over the images that have a candidate

Departures: the released code trains from scratch in several rounds, on the most confident images of
each class, with more in each round; here one training sees all images and updates the sets. The
released code chooses SHARE from 0.6 to 0.9 and beta from 0.8 to 0.99 for each data set; here one
SHARE serves all, and beta is 1 - PER_CLASS / K, as its authors advise later.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import candidate_loss
from ueo.pseudo_labels import candidate_labels
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class CPL(CLIPTrainer):
    needs_all_images = True
    defaults = {
        "SHARE": Option(0.75, low=0, high=1),  # alpha: quantile of the images' confidences
        "PER_CLASS": Option(2.0, low=0),  # gamma: one image in K / gamma may have a class
    }

    def prepare(self, zero_shot: Tensor) -> None:
        self._choose(zero_shot)
        sizes = self.candidates.sum(-1).float()
        self.notes["candidates"] = {
            "images_without": int((sizes == 0).sum()), "mean": sizes.mean().item(),
        }

    def before_epoch(self) -> None:
        if self.epoch > 0:
            self._choose(self.passes.unlabelled_cosines())

    def _choose(self, cosines: Tensor) -> None:
        """Choose the candidates by cosines (images, K) of the unlabelled images."""
        prob = (self.model.logit_scale * cosines).softmax(-1)
        share = min(self.options.PER_CLASS / prob.shape[1], 1)
        found = candidate_labels(prob, self.options.SHARE, share)
        self.candidates = found.to(self.device)  # (images, K)

    def loss(self, batch: dict) -> Tensor:
        candidates = self.candidates[batch["index"].to(self.device)]  # (batch, K)
        return candidate_loss(self.logits(batch["img"]), candidates)
