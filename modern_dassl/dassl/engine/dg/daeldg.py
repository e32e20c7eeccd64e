"""DAEL without a target. Zhou et al., Domain Adaptive Ensemble Learning, IEEE TIP 2021."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.da.dael import ExpertTrainer
from dassl.engine.trainer import TrainerX


@TRAINER_REGISTRY.register()
class DAELDG(ExpertTrainer, TrainerX):
    """DAEL's losses on labelled images. WEIGHT_U and CONF_THRE have no effect, as in Dassl."""

    options = "DAELDG"

    def parse_batch_train(self, batch):
        """(weak, strong, labels, domains)."""
        return *self.on_device(batch, "img", "img2", "label"), batch["domain"]

    def step(self, weak, strong, labels, domains):
        loss_x, loss_cr, acc = self.source_losses(weak, strong, labels, domains)
        self.model_backward_and_update(loss_x + loss_cr)
        return {"loss_x": loss_x, "acc": acc, "loss_cr": loss_cr}
