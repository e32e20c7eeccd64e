"""M3SDA: match the first two moments of the features of all domains.

Peng et al., Moment Matching for Multi-Source Domain Adaptation, ICCV 2019.
"""

from itertools import combinations

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.da.mcd import discrepancy
from dassl.engine.steps import DomainBatches, check_own_unlabelled_batches
from dassl.engine.trainer import TrainerXU
from torch import Tensor, nn
from torch.nn import functional as F


class PairClassifiers(nn.Module):
    """Gives the logits of two classifiers in training, of the first in evaluation."""

    def __init__(self, fdim: int, num_classes: int):
        super().__init__()
        self.c1 = nn.Linear(fdim, num_classes)
        self.c2 = nn.Linear(fdim, num_classes)

    def forward(self, x: Tensor):
        return (self.c1(x), self.c2(x)) if self.training else self.c1(x)


@TRAINER_REGISTRY.register()
class M3SDA(DomainBatches, TrainerXU):
    """MCD's three steps with two classifiers per source domain; step A adds LMDA times the distance
    of the domains' moments."""

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        check_own_unlabelled_batches(cfg, "M3SDA")

    def build_model(self) -> None:
        self.add_features()
        pairs = [
            PairClassifiers(self.F.fdim, self.num_classes) for _ in range(self.num_source_domains)
        ]
        self.add_model("C", nn.ModuleList(pairs))

    def parse_batch_train(self, batch_x, batch_u):
        """(source images, labels, domains, target images)."""
        images, labels = self.on_device(batch_x, "img", "label")
        return images, labels, batch_x["domain"], *self.on_device(batch_u, "img")

    def step(self, images, labels, domains, unlabelled):
        options, parts = self.cfg.TRAINER.M3SDA, self.by_domain(domains, images, labels)
        sources = [self.F(x) for _, x, _ in parts]
        loss_a = self._source_loss(parts, sources)
        loss_a = loss_a + options.LMDA * moment_distance(sources, self.F(unlabelled))
        self.model_backward_and_update(loss_a)
        with torch.no_grad():
            target = self.F(unlabelled)
            sources = [self.F(x) for _, x, _ in parts]
        loss_b = self._source_loss(parts, sources) - self._disagreement(parts, target)
        self.model_backward_and_update(loss_b, "C")
        for _ in range(options.N_STEP_F):
            loss_c = self._disagreement(parts, self.F(unlabelled))
            self.model_backward_and_update(loss_c, "F")
        return {"loss_step_A": loss_a, "loss_step_B": loss_b, "loss_step_C": loss_c}

    def _source_loss(self, parts, sources: list[Tensor]) -> Tensor:
        losses = [
            F.cross_entropy(out, y)
            for (domain, _, y), features in zip(parts, sources)
            for out in self.C[domain](features)
        ]
        return sum(losses) / len(parts)

    def _disagreement(self, parts, target: Tensor) -> Tensor:
        return sum(discrepancy(*self.C[domain](target)) for domain, *_ in parts) / len(parts)

    def model_inference(self, input):
        features = self.F(input)
        return sum(pair(features).softmax(1) for pair in self.C) / len(self.C)


def moment_distance(sources: list[Tensor], target: Tensor) -> Tensor:
    """Return the mean distance of means and of variances, over all pairs of domains.

    sources: features of each source domain. target: features (batch, features).
    """
    domains = [target, *sources]
    means = [features.mean(0) for features in domains]
    variances = [features.var(0) for features in domains]
    return (_mean_distance(means) + _mean_distance(variances)) / 2


def _mean_distance(moments: list[Tensor]) -> Tensor:
    pairs = list(combinations(moments, 2))
    return sum((a - b).square().sum().sqrt() for a, b in pairs) / len(pairs)
