"""Conditional prompt learning, CoCoOp (Zhou et al., CVPR 2022, arXiv:2203.05557): few-shot.

Reference: github.com/KaiyangZhou/CoOp, trainers/cocoop.py. A small network turns each image's
feature into a shift of every context vector, so each image has prompts of its own:

    ctx_i = ctx + g(f_i),    L = mean_i CE(logits_i, label_i)

The text tower sees images x classes prompts, so batches are small: 1 in the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ueo.clip.model import PromptedCLIP
from ueo.errors import ConfigError
from ueo.settings.shared_names import SHARED
from ueo.trainers.base import CLIPTrainer

REDUCTION = 16  # embedding / hidden width of the network, as released
PROMPTS_AT_ONCE = 8192  # in one pass of the text tower; bounds its memory


class MetaNet(nn.Sequential):
    """Image features (batch, embedding) -> shifts of the context (batch, width)."""

    def __init__(self, embedding: int, width: int):
        hidden = max(embedding // REDUCTION, 1)
        super().__init__(nn.Linear(embedding, hidden), nn.ReLU(), nn.Linear(hidden, width))


class ConditionalCLIP(PromptedCLIP):
    """A CLIP whose context, and so its class features, depend on the image."""

    meta_net: MetaNet

    def class_features(self) -> None:
        """Return None: no class feature holds for all images."""

    def cosines(self, features: Tensor, class_features: None = None) -> Tensor:
        """Return unscaled cosines (batch, K) of unit image features (batch, embedding)."""
        shifts = self.meta_net(features.float()).to(features.dtype)  # (batch, width)
        at_once = max(1, PROMPTS_AT_ONCE // len(self.prompt.end))
        rows = [
            torch.einsum("be,bke->bk", some, F.normalize(self.encode(self.prompt, shift), dim=-1))
            for some, shift in zip(features.split(at_once), shifts.split(at_once))
        ]
        return torch.cat(rows)


@SHARED.register()
class CoCoOp(CLIPTrainer):
    uses_labels = True
    capturable = True
    model_class = ConditionalCLIP
    defaults = {"TUNE": "prompt"}

    def setup(self) -> None:
        options = self.options
        if options.CSC or options.ENSEMBLE > 1 or options.CLASS_TOKEN_POSITION != "end":
            raise ConfigError("TRAINER.CoCoOp: needs one context for all classes, before the class "
                              "name: CSC False, ENSEMBLE 1, CLASS_TOKEN_POSITION end")
        width = self.model.prompt.ctx.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(max(self.cfg.SEED, 0))
            network = MetaNet(self.model.embedding, width)
        self.model.meta_net = network.to(self.device)

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        network = self.model.meta_net.named_parameters()
        return {**super().trainable(), "meta_net": {f"meta_net.{n}": p for n, p in network}}
