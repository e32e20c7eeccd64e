"""MARS (arXiv:2610.07903): predictions that drift are moved back, then taught to a text adapter.

First stage: a is the zero-shot prediction of an image, c its class, p the current prediction, g the
gain max(p - a, 0), s_j the similarity of the image to the mean feature of the zero-shot class j.

    h_j = [s_c > s_j], all 0 if the class b of p has s_b > s_c
    rho_cj = sum g_j h_j / sum g_j over the images of class c
    target = p - rho_c h g, and what is taken away is added to c;    L = CE(target, strong view)

Second stage, with the model of the first as teacher and the strong view for the student:

    L = KL_WEIGHT KL(teacher, student) + (1 - KL_WEIGHT) CE(class of the teacher, student)

No code was published. Departure: the paper tunes MaPLe's deep prompts; here TUNE says what the
first stage tunes. Our choices where the paper is silent: targets are predicted once an epoch, the
teacher's once, both under the test transform; s is of zero-shot features, and 0 for a class without
an image; the strong view is a crop, a flip and FixMatch's RandAugment (INPUT.TRANSFORMS); the
student is the frozen teacher with one linear layer on class features that starts as the identity;
KL_WEIGHT; one schedule for both stages. The first has ten of forty epochs in the paper, and the
same share here, rounded up.
"""

import math

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.clip.tuning import select
from ueo.pseudo_labels import moved_back, prototypes
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class MARS(CLIPTrainer):
    defaults = {
        "FIRST_STAGE": Option(0.25, low=0, high=1),  # share of the epochs
        "KL_WEIGHT": Option(0.5, low=0, high=1),  # against cross-entropy, in the second stage
    }

    def adapter(self) -> nn.Module:
        return TextAdapter(self.model.embedding)

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        return {**super().trainable(), **select(self.model, "adapter")}

    def prepare(self, zero_shot: Tensor) -> None:
        self.first_epochs = math.ceil(self.options.FIRST_STAGE * self.cfg.OPTIM.MAX_EPOCH)
        features = self.passes.unlabelled_features()
        self.zero_shot = self._prediction(features)
        no_image = torch.zeros(zero_shot.shape[1], features.shape[1])
        means = prototypes(features, self.zero_shot.argmax(-1), no_image)
        self.similarity = features @ means.T  # (images, K)
        self.targets = self.zero_shot.to(self.device)  # of the first epoch: g = 0

    def before_epoch(self) -> None:
        resumed = self.epoch == self.start_epoch
        if self.epoch == 0 or self.epoch > self.first_epochs and not resumed:
            return  # `prepare` has set the targets, or the teacher is frozen
        prob = self._prediction(self.passes.unlabelled_features(shared=False))
        if self.epoch < self.first_epochs:
            prob = moved_back(prob, self.zero_shot, self.similarity)
        self.targets = prob.to(self.device)

    @torch.no_grad()
    def _prediction(self, features: Tensor) -> Tensor:
        """Return probabilities (images, K), without the adapter. features: on the CPU."""
        classes = self.model.class_features().float().cpu()
        return (self.model.logit_scale * features @ classes.T).softmax(-1)

    def loss(self, batch: dict) -> dict[str, Tensor] | Tensor:
        target = self.targets[batch["index"].to(self.device)]  # (batch, K)
        if self.epoch < self.first_epochs:
            return F.cross_entropy(self._without_adapter(batch["img"]), target)
        with torch.no_grad():  # the teacher is frozen
            features, classes = self.features(batch["img"]), self.model.class_features()
        logits = self.model.logit_scale * self.model.cosines(features, classes).float()
        divergence = F.kl_div(logits.log_softmax(-1), target, reduction="batchmean")
        hard, weight = F.cross_entropy(logits, target.argmax(-1)), self.options.KL_WEIGHT
        return {"loss": weight * divergence + (1 - weight) * hard, "divergence": divergence}

    def _without_adapter(self, images: Tensor) -> Tensor:
        """Return logits (batch, K) in fp32; the first stage neither uses nor tunes the adapter."""
        cosines = self.features(images) @ self.model.class_features().T
        return self.model.logit_scale * cosines.float()


class TextAdapter(nn.Module):
    """A linear layer on class features: the identity plus `change`, (embedding, embedding), which
    is learnt and starts at 0."""

    def __init__(self, embedding: int):
        super().__init__()
        self.change = nn.Parameter(torch.zeros(embedding, embedding))

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        classes = class_features.float()
        classes = F.normalize(classes + classes @ self.change.T, dim=-1)
        return features.float() @ classes.T
