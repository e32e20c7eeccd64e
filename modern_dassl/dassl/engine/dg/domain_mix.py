"""DomainMix: mixup with an image of another domain.

Sun et al., Dynamic Domain Generalization, IJCAI 2022.
"""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps, accuracy
from dassl.engine.trainer import TrainerX
from dassl.utils import check_availability
from torch import Tensor
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class DomainMix(Steps, TrainerX):
    """Mixup with one weight per batch from Beta(ALPHA, BETA); TYPE selects the partners."""

    def check_cfg(self, cfg) -> None:
        check_availability(
            cfg.TRAINER.DOMAINMIX.TYPE, ["crossdomain", "random"], "TRAINER.DOMAINMIX.TYPE"
        )

    def step(self, images, labels, domains):
        options = self.cfg.TRAINER.DOMAINMIX
        weight = torch.tensor(1.0)
        if options.ALPHA > 0:
            weight = torch.distributions.Beta(options.ALPHA, options.BETA).rsample((1,))
        weight = weight.to(self.device)
        other = self.partners(domains)
        output = self.model(weight * images + (1 - weight) * images[other])
        own, others = F.cross_entropy(output, labels), F.cross_entropy(output, labels[other])
        loss = (weight * own + (1 - weight) * others).squeeze()
        self.model_backward_and_update(loss)
        return {"loss": loss, "acc": accuracy(output, labels)}

    def partners(self, domains: Tensor) -> Tensor:
        """Return each image's partner by position; with "crossdomain" from another domain."""
        other = torch.randperm(len(domains), device=domains.device)
        present = domains.unique()
        if self.cfg.TRAINER.DOMAINMIX.TYPE == "random" or len(present) < 2:
            return other
        for domain in present:
            here, elsewhere = domains == domain, (domains != domain).nonzero().squeeze(1)
            number = int(here.sum())
            drawn = torch.ones(len(elsewhere)).multinomial(number, number > len(elsewhere))
            other[here] = elsewhere[drawn.to(domains.device)]
        return other
