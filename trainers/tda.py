"""Training-free dynamic adapter, TDA (Karmanov et al., CVPR 2024, arXiv:2403.18293).

Reference: github.com/kdiAAA/TDA. Images come one by one. Two caches keep features for each class
that CLIP predicts: the SHOTS with the lowest entropy, and the NEGATIVE_SHOTS with the lowest among
those whose normalised entropy lies in UNSURE. An image is offered to both, then its logits are

    scale f T' + ALPHA sum_k exp(-BETA (1 - f k)) onehot(class of k)
               - NEGATIVE_ALPHA sum_k exp(-NEGATIVE_BETA (1 - f k)) 1[MASK < p_k < 1]

with k the features in the caches, p_k the probabilities of that image. The size of batches changes
nothing: an image's logits depend on the images before it and on itself. The defaults are those of
the released code for ImageNet; it has others for each data set.

- released code: the entropy, in nats, is divided by log2 K; so it is here.
- choice of ours: the method defines no OOD score; SCORE is computed from logits / scale. Without a
  stream, the unlabelled images fill the caches in random order.
"""

import math

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer

FREE = 1e9  # entropy of an empty place


class ClassCache(nn.Module):
    """For each predicted class, the `places` offered features with the lowest entropy, as keys
    (K, places, embedding), with their votes for the classes as values (K, places, K)."""

    def __init__(self, classes: int, places: int, embedding: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(classes, places, embedding))
        self.register_buffer("values", torch.zeros(classes, places, classes))
        self.register_buffer("entropy", torch.full((classes, places), FREE))

    def offer(self, label: int, feature: Tensor, entropy: Tensor, value: Tensor) -> None:
        worst = int(self.entropy[label].argmax())
        if entropy < self.entropy[label, worst]:
            self.entropy[label, worst] = entropy
            self.keys[label, worst], self.values[label, worst] = feature, value

    def votes(self, features: Tensor, sharpness: float) -> Tensor:
        """Return (batch, K): the sum of the values, weighted by the likeness of their keys."""
        used = (self.entropy < FREE).flatten()
        likeness = torch.exp(-sharpness * (1 - features @ self.keys.flatten(0, 1)[used].T))
        return likeness @ self.values.flatten(0, 1)[used]


class Caches(nn.Module):
    """Cosines, plus what both caches add to the logits, divided by the logit scale."""

    def __init__(self, classes: int, embedding: int, scale: float, options):
        super().__init__()
        self.scale, self.options = scale, options
        self.positive = ClassCache(classes, options.SHOTS, embedding)
        self.negative = ClassCache(classes, options.NEGATIVE_SHOTS, embedding)

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features, options = features.float(), self.options
        added = options.ALPHA * self.positive.votes(features, options.BETA)
        taken = options.NEGATIVE_ALPHA * self.negative.votes(features, options.NEGATIVE_BETA)
        return features @ class_features.float().T + (added - taken) / self.scale

    def take(self, feature: Tensor, cosines: Tensor) -> None:
        """Offer an image to both caches. feature: (embedding,); cosines: (K,), CLIP's own."""
        log_prob, options = (self.scale * cosines).log_softmax(-1), self.options
        prob, label = log_prob.exp(), int(cosines.argmax())
        sure = -(prob * log_prob).sum()
        self.positive.offer(label, feature, sure, F.one_hot(cosines.argmax(), len(prob)).float())
        if options.UNSURE[0] < sure / math.log2(max(len(prob), 2)) < options.UNSURE[1]:
            mask = (prob > options.MASK) & (prob < 1)
            self.negative.offer(label, feature, sure, mask.float())


@TRAINER_REGISTRY.register()
class TDA(CLIPTrainer):
    training_free = True
    bound_to_classes = True
    defaults = {
        "CTX_INIT": "template",
        "SHOTS": Option(3, low=1),
        "ALPHA": Option(2.0, low=0),
        "BETA": Option(5.0, low=0),
        "NEGATIVE_SHOTS": Option(2, low=1),
        "NEGATIVE_ALPHA": Option(0.117, low=0),
        "NEGATIVE_BETA": Option(1.0, low=0),
        "UNSURE": Option((0.2, 0.5), low=0, length=2),
        "MASK": Option(0.03, low=0, high=1),
    }

    def adapter(self) -> Caches:
        model = self.model
        return Caches(self.num_classes, model.embedding, model.logit_scale, self.options)

    def prepare(self, zero_shot: Tensor) -> None:
        features = self.passes.unlabelled_features()
        features, zero_shot = features.to(self.device), zero_shot.to(self.device)
        for image in torch.randperm(len(features), generator=self._generator()).tolist():
            self.model.adapter.take(features[image], zero_shot[image])

    def online_step(self, batch: dict) -> Tensor:
        classes, answers = self.model.class_features(), []
        for feature, cosines in zip(batch["features"], batch["zero_shot"].to(self.device)):
            self.model.adapter.take(feature, cosines)
            answers.append(self.model.cosines(feature[None], classes))
        return torch.cat(answers)
