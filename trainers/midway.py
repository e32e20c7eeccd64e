"""Midway: weighs adapted against frozen CLIP by how many predictions adaptation has changed.

A method of this project. Information maximisation adapts the model:

    L = mean_i H(p_i) - TRADE_OFF H(mean_i p_i)

Let (f, t) be the frozen features of an image and a class, (f', t') the adapted ones, and d the
share of the unlabelled images whose predicted class has changed. Images are classified by

    (1 - m) cos(f, t) + m cos(f', t')    with    m = min(1, STRENGTH d),

and the OOD score is the largest of these cosines minus half their mean. On images like those that
CLIP knows, adaptation changes few predictions, and the result stays close to CLIP's. Under a shift
it changes most of them, and the adapted model decides, steadied by the frozen one. No label is
read, and neither d nor the score has a scale that differs between models.

The sum is one inner product of unit vectors, (sqrt(1 - m) f, sqrt(m) f') and likewise of t and t'.
"""

import math

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.clip.adapters import Cosines
from ueo.clip.model import PromptedCLIP
from ueo.scores import SCORES
from ueo.settings.options import Option
from ueo.trainers.infomax import InfoMax


class Mixed(Cosines):
    """Cosines, and what is kept of the frozen model. share: (), m, which is 1 until it is known;
    classes: (K, embedding), the frozen class features."""

    def __init__(self, classes: int, embedding: int, dtype: torch.dtype):
        super().__init__()
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("classes", torch.zeros(classes, embedding, dtype=dtype))

    def remember(self, tuned: dict[str, nn.Parameter]) -> None:
        """Store the current values of these parameters."""
        self._tuned = tuple(tuned.values())
        for number, parameter in enumerate(self._tuned):
            self.register_buffer(f"start_{number}", parameter.detach().clone())

    def swap(self) -> None:
        """Exchange the current and the stored values of the parameters."""
        for number, parameter in enumerate(self._tuned):
            kept = getattr(self, f"start_{number}")
            parameter.data, kept.data = kept.data, parameter.data


class BesideFrozen(PromptedCLIP):
    """Gives the features of both models side by side, (rows, 2 embedding), unless gradients are
    needed or m is 1: then those of the adapted one alone."""

    def image_features(self, images: Tensor) -> Tensor:
        own = super().image_features(images)
        if (share := self._share()) == 1:
            return own
        folded, self._folded = self._folded, ()  # made from adapted weights
        self.adapter.swap()
        try:
            return _joined(super().image_features(images), own, share)
        finally:
            self.adapter.swap()
            self._folded = folded

    def class_features(self) -> Tensor:
        own, share = super().class_features(), self._share()
        return own if share == 1 else _joined(self.adapter.classes, own, share)

    def _share(self) -> float:
        """Return m, or 1 in training, which uses the adapted model alone."""
        return 1.0 if torch.is_grad_enabled() else self.adapter.share.item()


def _joined(before: Tensor, own: Tensor, share: float) -> Tensor:
    return torch.cat([math.sqrt(1 - share) * before, math.sqrt(share) * own], dim=-1)


@TRAINER_REGISTRY.register()
class Midway(InfoMax):
    model_class = BesideFrozen
    needs_all_images = True
    by_image = False
    bound_to_classes = True  # it stores their frozen features
    defaults = {
        "TRADE_OFF": Option(2.0, low=0),  # factor of the marginal entropy
        "STRENGTH": Option(1.5, low=0),  # m / d, while m is below 1
        "SCORE": Option("max_less_half_mean", choices=tuple(SCORES)),  # of the mixed cosines
    }

    def adapter(self) -> nn.Module:
        return Mixed(self.num_classes, self.model.embedding, self.model.dtype)

    def setup(self) -> None:
        groups = self.trainable()
        self.model.adapter.remember({
            name: p for part in groups if part != "prompt" for name, p in groups[part].items()})

    def prepare(self, zero_shot: Tensor) -> None:
        self.before = zero_shot.argmax(-1)  # (images,)
        with torch.no_grad():
            self.model.adapter.classes.copy_(self.model.class_features())

    def after_epoch(self) -> None:
        if self.epoch + 1 == self.max_epoch:
            now = self.passes.unlabelled_cosines().argmax(-1)
            changed = (now != self.before).float().mean().item()
            share = min(1.0, self.options.STRENGTH * changed)
            self.model.adapter.share.fill_(share)
            self.notes["midway"] = {"changed_predictions": changed, "share_of_adapted": share}
        super().after_epoch()
