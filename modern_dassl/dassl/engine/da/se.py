"""Self-ensembling. French et al., Self-ensembling for Visual Domain Adaptation, ICLR 2018."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, Teacher, accuracy
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops.utils import sigmoid_rampup
from dassl.utils import ConfigValueError
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class SE(Teacher, Steps, TrainerXU):
    """One view of a target image learns the teacher's probabilities of another view.

    Only images count on which the teacher's confidence exceeds CONF_THRE. If it is 0, all count,
    with a weight that grows within RAMPUP steps.
    """

    def check_cfg(self, cfg) -> None:
        if cfg.DATALOADER.K_TRANSFORMS != 2:
            raise ConfigValueError(
                f"SE compares two views: set DATALOADER.K_TRANSFORMS to 2, not "
                f"{cfg.DATALOADER.K_TRANSFORMS}"
            )

    def parse_batch_train(self, batch_x, batch_u):
        """(source images, labels, two views of target images)."""
        images, labels = self.on_device(batch_x, "img", "label")
        (views,) = self.on_device(batch_u, "img")
        return images[0], labels, *views

    def step(self, images, labels, view, other_view):
        options = self.cfg.TRAINER.SE
        output = self.model(images)
        loss_x = F.cross_entropy(output, labels)
        probability = self.model(view).softmax(1)
        target = self.teacher(other_view).softmax(1)
        loss_u = (probability - target).square().sum(1)
        if options.CONF_THRE:
            loss_u = (loss_u * (target.amax(1) > options.CONF_THRE)).mean()
        else:
            loss_u = loss_u.mean() * sigmoid_rampup(self.global_step, options.RAMPUP)
        self.model_backward_and_update(loss_x + loss_u)
        self.update_teacher(options.EMA_ALPHA)
        return {"loss_x": loss_x, "acc_x": accuracy(output, labels), "loss_u": loss_u}
