"""Universal Entropy Optimization (Liang et al., ICML 2024, arXiv:2308.12919).

Reference: github.com/tim-learn/UEO, demo.py. Confident samples, which are likely to be of a known
class, are sharpened; the mean prediction of the doubtful ones is kept spread:

    L = sum_i w_i H(p_i) / sum_i w_i  -  trade_off * H( sum_i (p_i / w_i) / sum_i (1 / w_i) )

with w_i the confidence of the zero-shot model. The prompt's context and the affine parameters of
the visual branch's normalisation layers move; nothing else does.
"""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.errors import ConfigError
from ueo.images.lists import NO_LABEL
from ueo.losses import DOUBTS, entropy_difference, universal_entropy
from ueo.scores import mcm
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer

WEIGHTINGS = ("confidence", "uniform", "oracle")  # uniform: InfoMax; the oracle reads labels
# difference: of two weighted entropies, Eq. 3
OBJECTIVES = {"universal": universal_entropy, "difference": entropy_difference}
ORACLE_FLOOR = 1e-3  # weight of an OOD sample under the oracle, as released


@TRAINER_REGISTRY.register()
class UEO(CLIPTrainer):
    defaults = {
        "TRADE_OFF": Option(1.0, low=0),  # factor of the marginal entropy
        "WEIGHTING": Option("confidence", choices=WEIGHTINGS),
        "TEMPERATURE": Option(1.0, low=0),  # of the weights: softmax(cosine / T); 0: 1 / scale
        "DOUBT": Option("inverse", choices=DOUBTS),  # weights of the mean prediction
        "OBJECTIVE": Option("universal", choices=OBJECTIVES),
        "REFRESH": False,  # weigh anew at each epoch, by the model as it is then
    }

    @property
    def reads_labels(self) -> bool:
        return self.options.WEIGHTING == "oracle"

    @property
    def capturable(self) -> bool:
        return not self.options.REFRESH  # which makes new weights at each epoch

    @property
    def by_image(self) -> bool:
        return not self.options.REFRESH

    def prepare(self, zero_shot: Tensor) -> None:
        # paper: weights are MCM scores; released code: computed once, from the zero-shot model on
        # unscaled cosines, and never refreshed.
        if self.options.WEIGHTING == "confidence":
            weight = mcm(zero_shot, self.options.TEMPERATURE or 1 / self.model.logit_scale)
        elif self.options.WEIGHTING == "uniform":
            weight = torch.ones(len(zero_shot))
        else:
            weight = self._known() + ORACLE_FLOOR
        self.weight = weight.to(self.device)  # (images,)
        ratio = (weight.max() / weight.min()).item()  # 1: weights do nothing
        self.notes.setdefault("weights", {"mean": weight.mean().item(), "max_over_min": ratio})

    def _known(self) -> Tensor:
        """(images,): 1.0 for an image of a known class, by its label."""
        labels = self.true_labels()
        if (labels == NO_LABEL).any():
            raise ConfigError(
                "TRAINER.UEO.WEIGHTING: the oracle needs labels, which these images lack"
            )
        return (labels < len(self.dm.dataset.classnames)).float()

    def before_epoch(self) -> None:
        if self.options.REFRESH and self.epoch > 0:
            self.prepare(self.passes.unlabelled_cosines())

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        weight = self.weight[batch["index"].to(self.device)]  # (batch,)
        doubt = DOUBTS[self.options.DOUBT](weight)
        conditional, marginal = OBJECTIVES[self.options.OBJECTIVE](
            prob, weight, doubt=doubt, trade_off=self.options.TRADE_OFF
        )
        return {"loss": conditional + marginal, "conditional": conditional, "marginal": marginal}
