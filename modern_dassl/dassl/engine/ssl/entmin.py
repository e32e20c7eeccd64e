"""Entropy minimisation. Grandvalet and Bengio, NIPS 2004."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, accuracy, entropy
from dassl.engine.trainer import TrainerXU
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class EntMin(Steps, TrainerXU):
    """Cross-entropy of labelled images plus LMDA times the entropy of unlabelled ones."""

    def step(self, images, labels, unlabelled):
        output = self.model(images)
        loss_x = F.cross_entropy(output, labels)
        loss_u = entropy(self.model(unlabelled).softmax(1)).mean()
        self.model_backward_and_update(loss_x + self.cfg.TRAINER.ENTMIN.LMDA * loss_u)
        return {"loss_x": loss_x, "acc_x": accuracy(output, labels), "loss_u": loss_u}
