"""Information maximisation, SHOT-IM (Liang et al., ICML 2020, arXiv:2002.08546).

Reference: github.com/tim-learn/SHOT. Each prediction is sharpened; their mean is kept spread:

    L = mean_i H(p_i) - trade_off * H(mean_i p_i)

It is UEO with equal weights.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import information_maximisation
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class InfoMax(CLIPTrainer):
    capturable = True
    by_image = True
    defaults = {
        "TRADE_OFF": Option(1.0, low=0),  # factor of the marginal entropy
    }

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        conditional, marginal = information_maximisation(prob, self.options.TRADE_OFF)
        return {"loss": conditional + marginal, "conditional": conditional, "marginal": marginal}
