"""Pseudo-labels: the most confident images of each class that the zero-shot model predicts."""

import torch
import torch.nn.functional as F
from torch import Tensor


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


def train_on_confident(trainer, zero_shot: Tensor, top_k: int) -> Tensor:
    """Let `trainer` (a CLIPTrainer) train on its most confident unlabelled images alone, and note
    how many they are and which classes have none.

    zero_shot: (images, K), unscaled cosines.  Returns the pseudo-labels (images,), -1 where an
    image is not used, on the trainer's device.
    """
    chosen, pseudo = most_confident(trainer.model.logit_scale * zero_shot, top_k)
    names = trainer.dm.dataset.classnames
    empty = sorted(set(range(len(names))) - set(pseudo[chosen].tolist()))
    trainer.notes.update(selected=len(chosen), empty_classes=[names[k] for k in empty])
    name = type(trainer).__name__
    print(f"{name}: {len(chosen)} pseudo-labelled images, {len(empty)} classes without one")
    trainer.train_on(chosen.tolist())
    return pseudo.to(trainer.device)


def prototypes(features: Tensor, pseudo: Tensor, otherwise: Tensor) -> Tensor:
    """Mean feature of each pseudo-label, as a unit vector; `otherwise` where there is no image.

    features: (images, embedding); pseudo: (images,), -1 where an image is not used; otherwise:
    (K, embedding).  Returns (K, embedding).
    """
    means = otherwise.clone()
    for label in pseudo[pseudo >= 0].unique().tolist():
        means[label] = F.normalize(features[pseudo == label].mean(0), dim=0)
    return means
