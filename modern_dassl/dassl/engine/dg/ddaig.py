"""DDAIG: a network perturbs images to keep their class and hide their domain.

Zhou et al., Deep Domain-Adversarial Image Generation for Domain Generalisation, AAAI 2020.
"""

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.steps import Steps
from dassl.engine.trainer import TrainerX
from dassl.modeling import build_network
from torch.nn import functional as F


@TRAINER_REGISTRY.register()
class DDAIG(Steps, TrainerX):
    """F classifies classes, D domains; G (G_ARCH, a registered network) perturbs images.

    After WARMUP epochs F also learns on perturbed images, with weight ALPHA.
    """

    def build_model(self) -> None:
        self.add_features("F", self.num_classes)
        self.add_features("D", self.num_source_domains)
        arch = self.cfg.TRAINER.DDAIG.G_ARCH
        self.add_model("G", build_network(arch, verbose=self.cfg.VERBOSE))

    def perturbed(self, images):
        options = self.cfg.TRAINER.DDAIG
        images = self.G(images, lmda=options.LMDA)
        return images.clamp(options.CLAMP_MIN, options.CLAMP_MAX) if options.CLAMP else images

    def step(self, images, labels, domains):
        options = self.cfg.TRAINER.DDAIG
        new = self.perturbed(images)
        loss_g = F.cross_entropy(self.F(new), labels) - F.cross_entropy(self.D(new), domains)
        self.model_backward_and_update(loss_g, "G")
        with torch.no_grad():
            new = self.perturbed(images)
        loss_f = F.cross_entropy(self.F(images), labels)
        if self.epoch + 1 > options.WARMUP:
            loss_new = F.cross_entropy(self.F(new), labels)
            loss_f = (1 - options.ALPHA) * loss_f + options.ALPHA * loss_new
        self.model_backward_and_update(loss_f, "F")
        loss_d = F.cross_entropy(self.D(images), domains)
        self.model_backward_and_update(loss_d, "D")
        return {"loss_g": loss_g, "loss_f": loss_f, "loss_d": loss_d}

    def model_inference(self, input):
        return self.F(input)
