"""Linear probe (Radford et al., ICML 2021, arXiv:2103.00020): few-shot, a classifier on features.

    logits = scale * f W',    L = mean_i CE(logits_i, label_i)

The paper fits W by L-BFGS from zero, with a penalty chosen on labelled validation images. With few
shots that is far below zero-shot CLIP, unless W starts as the class features (Silva-Rodriguez et
al., CVPR 2024, arXiv:2312.12730). Choices of ours: the latter start (`INIT zero` is the former);
the engine's optimiser, whose few steps are the only penalty; no bias. Evaluation reads f W'.
"""

import torch
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer

STARTS = ("zero_shot", "zero")  # W starts as the class features, or as zeros


@TRAINER_REGISTRY.register()
class LinearProbe(CLIPTrainer):
    uses_labels = True
    bound_to_classes = True
    capturable = True
    defaults = {
        "TUNE": "adapter",
        "CTX_INIT": "template",
        "INIT": Option("zero_shot", choices=STARTS),
    }

    def adapter(self) -> nn.Module:
        return Head(self.model.class_features().float())

    @torch.no_grad()
    def prepare(self, zero_shot: Tensor) -> None:
        if self.options.INIT == "zero":
            self.model.adapter.weight.zero_()


class Head(nn.Module):
    """A linear layer in place of the class features. weight: (K, embedding)."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        return features.float() @ self.weight.T
