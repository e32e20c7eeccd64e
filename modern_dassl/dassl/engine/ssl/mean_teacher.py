"""Mean Teacher. Tarvainen and Valpola, NIPS 2017."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, Teacher, accuracy
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops.utils import sigmoid_rampup
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class MeanTeacher(Teacher, Steps, TrainerXU):
    """Unlabelled images learn the probabilities of the model's moving average.

    The weight of this loss grows to WEIGHT_U within RAMPUP epochs.
    """

    def step(self, images, labels, unlabelled):
        options = self.cfg.TRAINER.MEANTEACHER
        output = self.model(images)
        loss_x = F.cross_entropy(output, labels)
        target = self.teacher(unlabelled).softmax(1)
        loss_u = (self.model(unlabelled).softmax(1) - target).square().sum(1).mean()
        weight = options.WEIGHT_U * sigmoid_rampup(self.epoch, options.RAMPUP)
        self.model_backward_and_update(loss_x + weight * loss_u)
        self.update_teacher(options.EMA_ALPHA)
        return {"loss_x": loss_x, "acc_x": accuracy(output, labels), "loss_u": loss_u}
