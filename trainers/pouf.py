"""Prompt-oriented unsupervised fine-tuning, POUF (Tanwisuth et al., ICML 2023, arXiv:2305.00350).

Reference: github.com/korawat-tanwisuth/POUF, pouf_lvm. The loss is the cost, 1 - cosine, of
transport from images to class prompts and back, plus information maximisation:

    L = trade_off * L_transport + lambda_im * ( mean_i H(p_i) - H(mean_i p_i) )

The released prompt tuning learns the logit scale as well (LEARN_SCALE); model tuning is TUNE model.
The released code keeps the epoch that is best on labelled images; here the last one is kept.
"""

import math

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.losses import information_maximisation, transport_cost
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class POUF(CLIPTrainer):
    capturable = True
    defaults = {
        "TRADE_OFF": Option(1.0, low=0),  # factor of the transport cost
        "LAMBDA_IM": Option(0.3, low=0),  # factor of information maximisation
        "LEARN_SCALE": False,  # tune the logit scale too, at OPTIM.LR; released code: at 5e-7
    }

    def setup(self) -> None:
        start = torch.tensor(math.log(self.model.logit_scale), device=self.device)
        self.log_scale = nn.Parameter(start)

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        groups = super().trainable()
        if self.options.LEARN_SCALE:
            groups["logit_scale"] = {"logit_scale": self.log_scale}
        return groups

    def loss(self, batch: dict) -> dict[str, Tensor]:
        cosines = self.cosines(batch["img"])  # (batch, K)
        logits = self.log_scale.exp() * cosines
        transport = self.options.TRADE_OFF * transport_cost(cosines, logits)
        information = self.options.LAMBDA_IM * sum(information_maximisation(logits.softmax(-1)))
        return {"loss": transport + information, "transport": transport, "information": information}
