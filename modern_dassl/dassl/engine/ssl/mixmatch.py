"""MixMatch. Berthelot et al., NeurIPS 2019."""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, soft_cross_entropy
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops import mixup
from dassl.modeling.ops.utils import create_onehot, linear_rampup, sharpen_prob, shuffle_index
from dassl.utils import ConfigValueError


@TRAINER_REGISTRY.register()
class MixMatch(Steps, TrainerXU):
    """Mixup of labelled and unlabelled images; the target of the latter is the model's mean over
    their views.

    The weight of unlabelled images grows to WEIGHT_U within RAMPUP steps.
    """

    def check_cfg(self, cfg) -> None:
        if cfg.DATALOADER.K_TRANSFORMS < 2:
            raise ConfigValueError(
                f"MixMatch averages over views: set DATALOADER.K_TRANSFORMS to 2 or more, not "
                f"{cfg.DATALOADER.K_TRANSFORMS}"
            )

    def parse_batch_train(self, batch_x, batch_u):
        """(labelled images, one-hot labels, views of unlabelled images)."""
        images, labels = self.on_device(batch_x, "img", "label")
        (views,) = self.on_device(batch_u, "img")
        return images[0], create_onehot(labels, self.num_classes), views

    def step(self, images, labels, views):
        options = self.cfg.TRAINER.MIXMATCH
        with torch.no_grad():
            mean = sum(self.model(view).softmax(1) for view in views) / len(views)
            guessed = torch.cat([sharpen_prob(mean, options.TEMP)] * len(views))
        unlabelled, n = torch.cat(views), len(images)
        partners, targets = shuffle_index(
            torch.cat([images, unlabelled]), torch.cat([labels, guessed])
        )
        beta = options.MIXUP_BETA
        images, labels = mixup(images, partners[:n], labels, targets[:n], beta, True)
        unlabelled, guessed = mixup(unlabelled, partners[n:], guessed, targets[n:], beta, True)
        loss_x = soft_cross_entropy(self.model(images).softmax(1), labels).mean()
        loss_u = (guessed - self.model(unlabelled).softmax(1)).square().mean()
        weight = options.WEIGHT_U * linear_rampup(self.global_step, options.RAMPUP)
        self.model_backward_and_update(loss_x + weight * loss_u)
        return {"loss_x": loss_x, "loss_u": loss_u}
