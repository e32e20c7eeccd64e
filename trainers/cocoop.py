"""Conditional prompt learning, CoCoOp (Zhou et al., CVPR 2022, arXiv:2203.05557): few-shot.

Reference: github.com/KaiyangZhou/CoOp, trainers/cocoop.py. A small network turns each image's
feature into a shift of every context vector, so each image has prompts of its own:

    ctx_i = ctx + g(f_i),    L = mean_i CE(logits_i, label_i)

The text tower sees images x classes prompts, so batches are small: 1 in the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from ueo.trainers.base import CLIPTrainer

from ueo.errors import ConfigError
from ueo.runs.shared_names import SHARED

REDUCTION = 16  # of the width inside the network, as released
PROMPTS_AT_ONCE = 8192  # in the text tower, a bound on its memory


@SHARED.register()
class CoCoOp(CLIPTrainer):
    uses_labels = True
    defaults = {**CLIPTrainer.defaults, "TUNE": "prompt"}

    def trainable(self) -> dict[str, dict[str, nn.Parameter]]:
        options = self.options
        if options.CSC or options.ENSEMBLE > 1 or options.CLASS_TOKEN_POSITION != "end":
            raise ConfigError("TRAINER.CoCoOp: one shared context, before the class name, alone")
        width = self.model.prompt.ctx.shape[-1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(max(self.cfg.SEED, 0))
            network = MetaNet(self.model.class_features().shape[1], width)
        self.model = ConditionalCLIP(self.model, network.to(self.device))
        groups = super().trainable()
        groups["meta_net"] = {f"meta_net.{n}": p for n, p in network.named_parameters()}
        return groups

    def loss(self, batch: dict) -> dict[str, Tensor]:
        labels = batch["label"].to(self.device)  # (batch,)
        return {"loss": F.cross_entropy(self.logits(batch["img"]), labels)}


class MetaNet(nn.Sequential):
    """Image features (batch, embedding) -> shifts of the context (batch, width)."""

    def __init__(self, embedding: int, width: int):
        hidden = max(embedding // REDUCTION, 1)
        super().__init__(nn.Linear(embedding, hidden), nn.ReLU(), nn.Linear(hidden, width))


class ConditionalCLIP(nn.Module):
    """A PromptedCLIP whose context depends on the image: no class feature holds for all images."""

    def __init__(self, clip: nn.Module, meta_net: nn.Module):
        super().__init__()
        self.visual, self.prompt, self.meta_net = clip.visual, clip.prompt, meta_net
        self.text_encoder, self.logit_scale = clip.text_encoder, clip.logit_scale
        self.image_features, self.evaluating = clip.image_features, clip.evaluating
        self.encode, self.encoder_hash, self.dtype = clip.encode, clip.encoder_hash, clip.dtype
        self.eval()

    def class_features(self) -> None:
        """There are none."""

    def forward(self, images: Tensor, class_features: None = None) -> Tensor:
        """Cosines (batch, K), unscaled."""
        return self.cosines(self.image_features(images))

    def cosines(self, features: Tensor, class_features: None = None) -> Tensor:
        """(batch, K), unscaled, of images' unit vectors (batch, embedding)."""
        shifts = self.meta_net(features.float()).to(features.dtype)  # (batch, width)
        at_once = max(1, PROMPTS_AT_ONCE // len(self.prompt.end))
        rows = [
            torch.einsum("be,bke->bk", some, F.normalize(self.encode(self.prompt, shift), dim=-1))
            for some, shift in zip(features.split(at_once), shifts.split(at_once))
        ]
        return torch.cat(rows)
