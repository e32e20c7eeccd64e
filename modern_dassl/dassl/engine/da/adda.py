"""ADDA: adapt the target's features until a critic takes them for the source's.

Tzeng et al., Adversarial Discriminative Domain Adaptation, CVPR 2017.
"""

import copy

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.da.adabn import check_source_weights
from dassl.engine.da.dann import critic, domain_loss
from dassl.engine.steps import Steps
from dassl.engine.trainer import TrainerXU
from dassl.utils import open_specified_layers


@TRAINER_REGISTRY.register()
class ADDA(Steps, TrainerXU):
    """Starts from a source model (MODEL.INIT_WEIGHTS), whose classifier stays fixed."""

    def check_cfg(self, cfg) -> None:
        check_source_weights(cfg, "ADDA")

    def build_model(self) -> None:
        super().build_model()
        self.source_model = copy.deepcopy(self.model).eval().requires_grad_(False)
        width = self.model.fdim
        self.add_model("critic", critic(width, [width, width // 2]))

    def step(self, images, labels, unlabelled):
        open_layers = ["backbone"] if self.model.head is None else ["backbone", "head"]
        open_specified_layers(self.model, open_layers)
        _, source = self.source_model(images, return_feature=True)
        _, target = self.model(unlabelled, return_feature=True)
        loss_critic = domain_loss(self.critic(source), 1)
        loss_critic = loss_critic + domain_loss(self.critic(target.detach()), 0)
        self.model_backward_and_update(loss_critic, "critic")
        loss_model = domain_loss(self.critic(target), 1)
        self.model_backward_and_update(loss_model, "model")
        return {"loss_critic": loss_critic, "loss_model": loss_model}
