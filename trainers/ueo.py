"""Universal Entropy Optimization, UEO (Liang et al., ICML 2024, arXiv:2308.12919).

UEO adapts CLIP to unlabelled images, some of which belong to none of the K known classes. It
minimises the entropy of confident predictions, whose images probably belong to a known class, and
maximises the entropy of the mean prediction, in which uncertain images count most:

    L = sum_i w_i H(p_i) / sum_i w_i  -  trade_off * H( sum_i (p_i / w_i) / sum_i (1 / w_i) )

p_i is the current prediction for image i of the batch, w_i the confidence of the zero-shot model,
its MCM score. Only the prompt's context and the affine parameters of the image encoder's
normalisation layers are tuned. Reference: github.com/tim-learn/UEO, demo.py.
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

WEIGHTINGS = ("confidence", "uniform", "oracle")  # uniform: this is InfoMax; oracle: reads labels
OBJECTIVES = {"universal": universal_entropy, "difference": entropy_difference}  # Eq. 4, Eq. 3
ORACLE_FLOOR = 1e-3  # weight of an OOD image under the oracle, as released


@TRAINER_REGISTRY.register()
class UEO(CLIPTrainer):
    defaults = {
        "TRADE_OFF": Option(1.0, low=0),  # factor of the marginal entropy
        "WEIGHTING": Option("confidence", choices=WEIGHTINGS),  # how w_i is chosen
        "TEMPERATURE": Option(1.0, low=0),  # T in w_i = max softmax(cosines / T); 0: 1 / scale
        "DOUBT": Option("inverse", choices=DOUBTS),  # Phi(w_i), weight in the mean prediction
        "OBJECTIVE": Option("universal", choices=OBJECTIVES),
        "REFRESH": False,  # recompute w_i before each later epoch, by the current model
    }

    @property
    def reads_labels(self) -> bool:
        return self.options.WEIGHTING == "oracle"

    @property
    def capturable(self) -> bool:
        return not self.options.REFRESH  # a CUDA graph would keep the first epoch's weights

    @property
    def by_image(self) -> bool:
        return not self.options.REFRESH

    def prepare(self, zero_shot: Tensor) -> None:
        # Paper: w_i is the MCM score. Released code: it is computed once, by the zero-shot model,
        # from unscaled cosines, and never refreshed.
        if self.options.WEIGHTING == "confidence":
            weight = mcm(zero_shot, self.options.TEMPERATURE or 1 / self.model.logit_scale)
        elif self.options.WEIGHTING == "uniform":
            weight = torch.ones(len(zero_shot))
        else:
            weight = self._known() + ORACLE_FLOOR
        self.weight = weight.to(self.device)  # w, (images,)
        ratio = (weight.max() / weight.min()).item()  # 1: all images count alike
        self.notes.setdefault("weights", {"mean": weight.mean().item(), "max_over_min": ratio})

    def _known(self) -> Tensor:
        """Return (images,): 1.0 where the label is a known class, 0.0 elsewhere."""
        labels = self.true_labels()
        if (labels == NO_LABEL).any():
            raise ConfigError(
                "TRAINER.UEO.WEIGHTING: the oracle needs labels, which these images lack"
            )
        return (labels < self.num_classes).float()

    def before_epoch(self) -> None:
        if self.options.REFRESH and self.epoch > 0:
            self.prepare(self.passes.unlabelled_cosines())

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # p, (batch, K)
        weight = self.weight[batch["index"].to(self.device)]  # w, (batch,)
        doubt = DOUBTS[self.options.DOUBT](weight)  # Phi(w), (batch,); 1 / w by default
        conditional, marginal = OBJECTIVES[self.options.OBJECTIVE](
            prob, weight, doubt=doubt, trade_off=self.options.TRADE_OFF
        )
        return {"loss": conditional + marginal, "conditional": conditional, "marginal": marginal}
