"""MCD: two classifiers that disagree on the target, and features on which they agree.

Saito et al., Maximum Classifier Discrepancy for Unsupervised Domain Adaptation, CVPR 2018.
"""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps
from dassl.engine.trainer import TrainerXU
from torch import Tensor, nn
from torch.nn import functional as F


def discrepancy(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Return the mean absolute difference of two classifiers' probabilities."""
    return (logits1.softmax(1) - logits2.softmax(1)).abs().mean()


@TRAINER_REGISTRY.register()
class MCD(Steps, TrainerXU):
    """Step A: all learn the source. B: C1 and C2 learn to disagree on the target. C, N_STEP_F
    times: F learns to make them agree."""

    def build_model(self) -> None:
        self.add_features()
        for name in ("C1", "C2"):
            self.add_model(name, nn.Linear(self.F.fdim, self.num_classes))

    def _both(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.C1(features), self.C2(features)

    def step(self, images, labels, unlabelled):
        loss_a = sum(F.cross_entropy(out, labels) for out in self._both(self.F(images)))
        self.model_backward_and_update(loss_a)
        with torch.no_grad():
            source, target = self.F(images), self.F(unlabelled)
        loss_x = sum(F.cross_entropy(out, labels) for out in self._both(source))
        loss_b = loss_x - discrepancy(*self._both(target))
        self.model_backward_and_update(loss_b, ["C1", "C2"])
        for _ in range(self.cfg.TRAINER.MCD.N_STEP_F):
            loss_c = discrepancy(*self._both(self.F(unlabelled)))
            self.model_backward_and_update(loss_c, "F")
        return {"loss_step_A": loss_a, "loss_step_B": loss_b, "loss_step_C": loss_c}

    def model_inference(self, input):
        return self.C1(self.F(input))
