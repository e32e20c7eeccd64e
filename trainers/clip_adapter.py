"""CLIP-Adapter (Gao et al., IJCV 2024, arXiv:2110.04544): few-shot, a bottleneck on image features.

Reference: github.com/gaopengcuhk/CLIP-Adapter, clip_adapter.py. Two layers without biases learn a
feature that is blended with CLIP's own:

    f* = ratio * relu(W2 relu(W1 f)) + (1 - ratio) * f
    L = mean_i CE(scale * cos(f*_i, T), label_i)

In the released code f is not normalised; without biases the direction of f* is the same. As there,
only the visual adapter is implemented.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor, nn

from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class CLIPAdapter(CLIPTrainer):
    uses_labels = True
    capturable = True
    defaults = {
        "TUNE": "adapter",
        "CTX_INIT": "template",
        "RATIO": Option(0.2, low=0, below=1),  # share of the learnt feature
        "REDUCTION": Option(4, low=1),  # embedding / hidden width
    }

    def adapter(self) -> nn.Module:
        embedding = self.model.embedding
        hidden = max(embedding // self.options.REDUCTION, 1)
        return Bottleneck(embedding, hidden, self.options.RATIO)

    def prepare(self, zero_shot: Tensor) -> None:
        self.model.adapter.start(self._generator())


class Bottleneck(nn.Module):
    """Blends each image feature with a learnt one. Until `start`, weights are 0: plain CLIP."""

    def __init__(self, embedding: int, hidden: int, ratio: float):
        super().__init__()
        self.down = nn.Parameter(torch.zeros(hidden, embedding))
        self.up = nn.Parameter(torch.zeros(embedding, hidden))
        self.ratio = ratio

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Initialise the weights at random, as torch's linear layers do."""
        for weight in self.parameters():
            bound = weight.shape[1] ** -0.5
            weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=generator))

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features = features.float()
        learnt = F.relu(F.relu(features @ self.down.T) @ self.up.T)
        blend = self.ratio * learnt + (1 - self.ratio) * features
        return F.normalize(blend, dim=-1) @ class_features.float().T
