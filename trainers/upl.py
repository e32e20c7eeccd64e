"""Unsupervised prompt learning, UPL (Huang et al., 2022, arXiv:2204.03649).

Reference: github.com/tonyhuang2022/UPL. For each class that the zero-shot model predicts, the TOP_K
most confident images get it as pseudo-label, once. A prompt is learnt on them:

    L = mean_i CE(logits_i, pseudo_i)

The paper averages the test logits of prompts learnt with 16 seeds. ENSEMBLE is the number of
prompts that are learnt side by side, from random contexts on the same batches; their cosines are
averaged.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.pseudo_labels import train_on_confident
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class UPL(CLIPTrainer):
    capturable = True
    defaults = {"TOP_K": Option(16, low=1)}  # images a predicted class

    def prepare(self, zero_shot: Tensor) -> None:
        self.pseudo = train_on_confident(self, zero_shot, self.options.TOP_K)

    def loss(self, batch: dict) -> dict[str, Tensor]:
        pseudo = self.pseudo[batch["index"].to(self.device)]  # (batch,)
        images = self.features(batch["img"])
        losses = [
            F.cross_entropy(self.model.logit_scale * (images @ classes.T).float(), pseudo)
            for classes in self.model.member_features()
        ]
        return {"loss": torch.stack(losses).sum()}  # each prompt has a term of its own
