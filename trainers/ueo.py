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
from ueo.trainers.base import CLIPTrainer

from ueo.errors import ConfigError
from ueo.lists import NO_LABEL
from ueo.losses import universal_entropy
from ueo.scores import mcm

WEIGHTINGS = ("confidence", "uniform", "oracle")
ORACLE_FLOOR = 1e-3  # weight of an OOD sample under the oracle, as released


@TRAINER_REGISTRY.register()
class UEO(CLIPTrainer):
    defaults = {
        **CLIPTrainer.defaults,
        "TRADE_OFF": 1.0,  # factor of the marginal entropy
        "WEIGHTING": "confidence",  # confidence, uniform (= InfoMax), oracle (reads labels)
        "TEMPERATURE": 1.0,  # of the weights: softmax(cosine / T); 0.01 is OpenAI's own
    }

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        if self.options.WEIGHTING not in WEIGHTINGS:
            raise ConfigError(
                f"TRAINER.UEO.WEIGHTING: {self.options.WEIGHTING!r} is unknown; "
                f"known: {', '.join(WEIGHTINGS)}"
            )

    def prepare(self, zero_shot: Tensor) -> None:
        # paper: weights are MCM scores; released code: computed once, from the zero-shot model on
        # unscaled cosines, and never refreshed.
        if self.options.WEIGHTING == "confidence":
            weight = mcm(zero_shot, self.options.TEMPERATURE)
        elif self.options.WEIGHTING == "uniform":
            weight = torch.ones(len(zero_shot))
        else:
            labels = torch.tensor([item.label for item in self.dm.dataset.train_u])
            if (labels == NO_LABEL).any():
                raise ConfigError(
                    "TRAINER.UEO.WEIGHTING: the oracle needs labels, which these images lack"
                )
            weight = (labels < zero_shot.shape[1]).float() + ORACLE_FLOOR
        self.weight = weight.to(self.device)  # (images,)

    def loss(self, batch: dict) -> dict[str, Tensor]:
        prob = self.logits(batch["img"]).softmax(-1)  # (batch, K)
        weight = self.weight[batch["index"].to(self.device)]  # (batch,)
        conditional, marginal = universal_entropy(prob, weight, self.options.TRADE_OFF)
        return {"loss": conditional + marginal, "conditional": conditional, "marginal": marginal}
