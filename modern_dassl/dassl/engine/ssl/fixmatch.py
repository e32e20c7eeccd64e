"""FixMatch. Sohn et al., NeurIPS 2020."""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import TwoViews, accuracy, pseudo_label_quality
from dassl.engine.trainer import TrainerXU
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class FixMatch(TwoViews, TrainerXU):
    """The strong view of an image learns the class predicted for the weak view, if its probability
    is at least CONF_THRE. Labelled images are used as unlabelled ones, too."""

    options = "FIXMATCH"

    def parse_batch_train(self, batch_x, batch_u):
        """Return (weak, strong, labels) of the labelled, then of the unlabelled images."""
        keys = ("img", "img2", "label")
        return self.on_device(batch_x, *keys) + self.on_device(batch_u, *keys)

    def step(self, weak_x, strong_x, labels, weak_u, strong_u, labels_u):
        options = self.cfg.TRAINER.FIXMATCH
        with torch.no_grad():
            probability, predicted = self.model(torch.cat([weak_x, weak_u])).softmax(1).max(1)
        kept = (probability >= options.CONF_THRE).float()
        output = self.model(weak_x)
        loss_x = F.cross_entropy(output, labels)
        output_u = self.model(torch.cat([strong_x, strong_u]))
        loss_u = (F.cross_entropy(output_u, predicted, reduction="none") * kept).mean()
        self.model_backward_and_update(loss_x + options.WEIGHT_U * loss_u)
        n = len(labels)
        quality = pseudo_label_quality(predicted[n:], labels_u, kept[n:])
        return {
            "loss_x": loss_x,
            "acc_x": accuracy(output, labels),
            "loss_u": loss_u,
            "y_u_pred_acc_raw": quality["acc_raw"],
            "y_u_pred_acc_thre": quality["acc_thre"],
            "y_u_pred_keep": quality["keep_rate"],
        }
