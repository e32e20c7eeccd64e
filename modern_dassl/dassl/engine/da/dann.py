"""DANN: features from which a critic cannot tell the domains, by gradient reversal.

Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 2016.
"""

import math

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, accuracy
from dassl.engine.trainer import TrainerXU
from dassl.modeling import build_head
from dassl.modeling.ops import ReverseGrad
from torch import Tensor, nn
from torch.nn import functional as F


def critic(width: int, hidden: list[int]) -> nn.Sequential:
    """Return a critic: features (batch, width) -> logits (batch, 1), large for the source."""
    body = build_head(
        "mlp", verbose=False, in_features=width, hidden_layers=hidden, activation="leaky_relu"
    )
    return nn.Sequential(body, nn.Linear(hidden[-1], 1))


def domain_loss(logits: Tensor, is_source: int) -> Tensor:
    """Return the binary cross-entropy of a critic's logits on images of one domain."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, is_source))


@TRAINER_REGISTRY.register()
class DANN(Steps, TrainerXU):
    """Trains on the source's cross-entropy plus the critic's loss. The features get the reversed
    gradient of the latter, with a weight that grows from 0 to 1."""

    def build_model(self) -> None:
        super().build_model()
        width = self.model.fdim
        self.add_model("critic", critic(width, [width, width]))
        self.revgrad = ReverseGrad()

    def step(self, images, labels, unlabelled):
        progress = self.global_step / (self.max_epoch * self.num_batches)
        weight = 2 / (1 + math.exp(-10 * progress)) - 1
        output, source = self.model(images, return_feature=True)
        _, target = self.model(unlabelled, return_feature=True)
        loss_x = F.cross_entropy(output, labels)
        loss_d = domain_loss(self.critic(self.revgrad(source, weight)), 1)
        loss_d = loss_d + domain_loss(self.critic(self.revgrad(target, weight)), 0)
        self.model_backward_and_update(loss_x + loss_d)
        return {"loss_x": loss_x, "acc_x": accuracy(output, labels), "loss_d": loss_d}
