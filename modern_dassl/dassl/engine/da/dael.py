"""DAEL: one expert per source domain, trained to agree.

Zhou et al., Domain Adaptive Ensemble Learning, IEEE TIP 2021.
"""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import (
    DomainBatches,
    TwoViews,
    accuracy,
    check_own_unlabelled_batches,
    soft_cross_entropy,
)
from dassl.engine.trainer import TrainerXU
from dassl.modeling.ops.utils import create_onehot
from torch import Tensor, nn


class Experts(nn.Module):
    """One linear classifier per source domain; `forward` gives the probabilities of expert i."""

    def __init__(self, n_source: int, fdim: int, num_classes: int):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(fdim, num_classes) for _ in range(n_source))

    def forward(self, i: int, x: Tensor) -> Tensor:
        return self.linears[i](x).softmax(1)

    def all(self, x: Tensor) -> Tensor:
        """Return the probabilities of all experts, (batch, experts, classes)."""
        return torch.stack([self(i, x) for i in range(len(self.linears))], 1)


class ExpertTrainer(TwoViews, DomainBatches):
    """Features F, experts E, and the losses on labelled images that DAEL and DAELDG share."""

    def build_model(self) -> None:
        self.add_features()
        self.add_model("E", Experts(self.num_source_domains, self.F.fdim, self.num_classes))

    def source_losses(self, weak, strong, labels, domains) -> tuple[Tensor, Tensor, Tensor]:
        """Return means over domains of (the loss of the domain's expert on weak views, the squared
        distance to it of the other experts' mean on strong views, accuracy)."""
        parts = self.by_domain(domains, weak, strong, create_onehot(labels, self.num_classes))
        features = [self.F(x) for _, x, _, _ in parts]
        strong_features = [self.F(x) for _, _, x, _ in parts]
        sums = [0, 0, 0]
        for (domain, _, _, y), own, other in zip(parts, features, strong_features):
            expert = self.E(domain, own)
            rest = [self.E(d, other) for d, *_ in parts if d != domain]
            difference = torch.stack(rest, 1).mean(1) - expert.detach()
            terms = (
                soft_cross_entropy(expert, y).mean(),
                difference.square().sum(1).mean(),
                accuracy(expert, y.argmax(1)),
            )
            sums = [total + term for total, term in zip(sums, terms)]
        loss, consistency, right = (total / len(parts) for total in sums)
        return loss, consistency, right

    def model_inference(self, input):
        return self.E.all(self.F(input)).mean(1)


@TRAINER_REGISTRY.register()
class DAEL(ExpertTrainer, TrainerXU):
    """The experts' mean on the strong view of a target image learns the most confident expert's
    class, if its probability is at least CONF_THRE, with weight WEIGHT_U."""

    options = "DAEL"

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        check_own_unlabelled_batches(cfg, "DAEL")

    def parse_batch_train(self, batch_x, batch_u):
        """(weak, strong, labels, domains) of the source, (weak, strong) of the target."""
        source = self.on_device(batch_x, "img", "img2", "label")
        return *source, batch_x["domain"], *self.on_device(batch_u, "img", "img2")

    def step(self, weak, strong, labels, domains, weak_u, strong_u):
        options = self.cfg.TRAINER.DAEL
        with torch.no_grad():
            surest = self.E.all(self.F(weak_u)).flatten(1).max(1)  # over experts and classes
            kept = (surest.values >= options.CONF_THRE).float()
            target = create_onehot(surest.indices % self.num_classes, self.num_classes)
        loss_x, loss_cr, acc = self.source_losses(weak, strong, labels, domains)
        mean = self.model_inference(strong_u)
        loss_u = (soft_cross_entropy(mean, target) * kept).mean()
        self.model_backward_and_update(loss_x + loss_cr + options.WEIGHT_U * loss_u)
        return {"loss_x": loss_x, "acc_x": acc, "loss_cr": loss_cr, "loss_u": loss_u}
