"""CrossGrad: a class and a domain classifier, each trained on images moved by the other's gradient.

Shankar et al., Generalizing Across Domains via Cross-Gradient Training, ICLR 2018.
"""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps
from dassl.engine.trainer import TrainerX
from torch.nn import functional as F

LARGEST = 0.1  # bound of a pixel's gradient


@TRAINER_REGISTRY.register()
class CrossGrad(Steps, TrainerX):
    """F classifies classes, D domains. Each also learns on images moved along the other's gradient,
    by EPS_F and EPS_D, with the weights ALPHA_F and ALPHA_D."""

    def build_model(self) -> None:
        self.add_features("F", self.num_classes)
        self.add_features("D", self.num_source_domains)

    def step(self, images, labels, domains):
        options = self.cfg.TRAINER.CROSSGRAD
        other_domain = self.moved(images, self.D, domains, options.EPS_F)
        other_class = self.moved(images, self.F, labels, options.EPS_D)
        losses = {}
        for name, model, target, moved, alpha in (
            ("F", self.F, labels, other_domain, options.ALPHA_F),
            ("D", self.D, domains, other_class, options.ALPHA_D),
        ):
            plain = F.cross_entropy(model(images), target)
            loss = (1 - alpha) * plain + alpha * F.cross_entropy(model(moved), target)
            self.model_backward_and_update(loss, name)
            losses[f"loss_{name.lower()}"] = loss
        return losses

    def moved(self, images, model, target, size: float):
        """Return the images moved to increase the loss of `model`."""
        images = images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(images), target), images)
        return images.detach() + size * gradient.clamp(-LARGEST, LARGEST)

    def model_inference(self, input):
        return self.F(input)
