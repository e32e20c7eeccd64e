"""Training on labelled images alone: empirical risk minimisation."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, accuracy
from dassl.engine.trainer import TrainerX
from torch.nn import functional as F


class Supervised(Steps):
    """Trains on the cross-entropy of labelled images; ignores an unlabelled batch."""

    def parse_batch_train(self, batch_x, batch_u=None):
        """(images, labels) on the device."""
        return self.on_device(batch_x, "img", "label")

    def step(self, images, labels):
        output = self.model(images)
        loss = F.cross_entropy(output, labels)
        self.model_backward_and_update(loss)
        return {"loss": loss, "acc": accuracy(output, labels)}


@TRAINER_REGISTRY.register()
class Vanilla(Supervised, TrainerX):
    """Trains on the source domains, without the target."""
