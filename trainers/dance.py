"""DANCE without a source (Saito et al., NeurIPS 2020, arXiv:2002.07953).

Reference: github.com/VisionLearningGroup/DANCE. Each image is pulled towards a class or a
neighbour, and predictions are made either confident or uncertain:

    L = eta * ( L_nc + L_es )

L_nc is the mean entropy of an image's similarities to all classes, to the remembered features of
all images outside the batch and to the other images of the batch. L_es pushes the entropy of a
prediction away from ln(K) / 2 once it differs from it by more than a margin. There is no source and
so no cross-entropy on it. Choices of ours: CLIP's logits replace those of the source classifier,
and the memory starts with the zero-shot features, not with zeros.
"""

import math

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.losses import entropy_separation, neighbourhood_entropy
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class DANCE(CLIPTrainer):
    defaults = {
        "ETA": Option(0.05, low=0),  # factor of both terms
        "TEMPERATURE": Option(0.05, above=0),  # of the similarity between images
        "MARGIN": Option(0.5, low=0),  # around the threshold ln(K) / 2, in nats
        "MOMENTUM": Option(0.0, low=0, below=1),  # of the memory: share of the old feature
    }

    def setup(self) -> None:
        size = len(self.dm.dataset.train_u), self.model.embedding
        self.memory = torch.zeros(size, device=self.device)  # (images, embedding), unit vectors

    def buffers(self) -> dict[str, Tensor]:
        return {"memory": self.memory}

    def prepare(self, zero_shot: Tensor) -> None:
        # released code: a number near this for each data set, such as 1.49 for 20 classes; a row of
        # its memory is zeros until the image is first seen
        self.threshold = math.log(zero_shot.shape[1]) / 2
        self.memory.copy_(self.passes.unlabelled_features())

    def loss(self, batch: dict) -> dict[str, Tensor]:
        index, options = batch["index"].to(self.device), self.options
        features = self.features(batch["img"])  # (batch, embedding)
        logits = self.model.logit_scale * (features @ self.model.class_features().T).float()
        features = features.float()
        to_memory = features @ self.memory.T / options.TEMPERATURE  # (batch, images)
        to_memory[:, index] = -1 / options.TEMPERATURE  # to_batch has these, and newer
        to_batch = features @ features.T / options.TEMPERATURE
        to_batch = to_batch.masked_fill(torch.eye(len(index), device=self.device, dtype=torch.bool),
                                        -1 / options.TEMPERATURE)
        clustering = neighbourhood_entropy(logits, to_memory, to_batch)
        separation = entropy_separation(logits.softmax(-1), self.threshold, options.MARGIN)
        self.seen = index, features.detach()
        return {
            "loss": options.ETA * (clustering + separation),
            "clustering": clustering,
            "separation": separation,
        }

    def forward_backward(self, batch: dict) -> dict:
        losses = super().forward_backward(batch)
        (index, features), kept = self.seen, self.options.MOMENTUM
        mixed = kept * self.memory[index] + (1 - kept) * features
        self.memory[index] = F.normalize(mixed, dim=-1)
        return losses
