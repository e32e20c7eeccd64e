"""MME: the classifier maximises the entropy of the target, the features minimise it.

Saito et al., Semi-supervised Domain Adaptation via Minimax Entropy, ICCV 2019.
"""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, accuracy, entropy
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops import ReverseGrad
from torch import Tensor, nn
from torch.nn import functional as F


class Prototypes(nn.Module):
    """Gives logits: normalised features times a prototype per class, divided by `temp`.

    reverse: give the features the negative gradient.
    """

    def __init__(self, fdim: int, num_classes: int, temp: float = 0.05):
        super().__init__()
        self.prototypes = nn.Linear(fdim, num_classes, bias=False)
        self.temp = temp
        self.revgrad = ReverseGrad()

    def forward(self, x: Tensor, reverse: bool = False) -> Tensor:
        if reverse:
            x = self.revgrad(x)
        return self.prototypes(F.normalize(x, dim=1)) / self.temp


@TRAINER_REGISTRY.register()
class MME(Steps, TrainerXU):
    """Takes a step on the source's cross-entropy, then one on LMDA times the target's entropy."""

    def build_model(self) -> None:
        self.add_features()
        self.add_model("C", Prototypes(self.F.fdim, self.num_classes))

    def step(self, images, labels, unlabelled):
        output = self.C(self.F(images))
        loss_x = F.cross_entropy(output, labels)
        self.model_backward_and_update(loss_x)
        loss_u = -entropy(self.C(self.F(unlabelled), reverse=True).softmax(1)).mean()
        self.model_backward_and_update(self.cfg.TRAINER.MME.LMDA * loss_u)
        return {"loss_x": loss_x, "acc_x": accuracy(output, labels), "loss_u": loss_u}

    def model_inference(self, input):
        return self.C(self.F(input))
