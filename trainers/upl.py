"""Unsupervised prompt learning, UPL (Huang et al., 2022, arXiv:2204.03649).

Reference: github.com/tonyhuang2022/UPL. Of each class that the zero-shot model predicts, the TOP_K
most confident images are kept with that class as their label, once; a prompt is learnt on them:

    L = mean_i CE(logits_i, pseudo_i)

The paper averages the test logits of prompts learnt with 16 seeds; ENSEMBLE learns so many prompts
from random contexts side by side, on the same batches, and averages their cosines.
"""

import torch
import torch.nn.functional as F
from dassl.engine import TRAINER_REGISTRY
from torch import Tensor
from ueo.trainers.base import CLIPTrainer


@TRAINER_REGISTRY.register()
class UPL(CLIPTrainer):
    defaults = {**CLIPTrainer.defaults, "TOP_K": 16}  # images a predicted class

    def prepare(self, zero_shot: Tensor) -> None:
        chosen, pseudo = most_confident(self.model.logit_scale * zero_shot, self.options.TOP_K)
        self.pseudo = pseudo.to(self.device)  # (images,), -1 where an image is not used
        names = self.dm.dataset.classnames
        empty = sorted(set(range(len(names))) - set(pseudo[chosen].tolist()))
        self.notes.update(selected=len(chosen), empty_classes=[names[k] for k in empty])
        print(f"UPL: {len(chosen)} pseudo-labelled images, {len(empty)} classes without one")
        self.train_on(chosen.tolist())

    def loss(self, batch: dict) -> dict[str, Tensor]:
        pseudo = self.pseudo[batch["index"].to(self.device)]  # (batch,)
        images = self.features(batch["img"])
        losses = [
            F.cross_entropy(self.model.logit_scale * (images @ classes.T).float(), pseudo)
            for classes in self.model.member_features()
        ]
        return {"loss": torch.stack(losses).sum()}  # each prompt has a term of its own


def most_confident(logits: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """(positions of the images kept, in order; pseudo-label of every image, -1 if it is not kept).

    logits: (images, classes), scaled. At most `top_k` images of each predicted class are kept, by
    the probability of that class.
    """
    confidence, predicted = logits.softmax(-1).max(-1)
    pseudo = torch.full_like(predicted, -1)
    for label in predicted.unique():
        members = (predicted == label).nonzero()[:, 0]
        best = members[confidence[members].argsort(descending=True, stable=True)[:top_k]]
        pseudo[best] = label
    return (pseudo >= 0).nonzero()[:, 0], pseudo
