"""Pseudo-labels: which images are selected, and how their targets are corrected."""

import torch
import torch.nn.functional as F
from torch import Tensor


def most_confident(logits: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Keep at most `top_k` images of each predicted class, the most confident ones. Returns their
    sorted positions, and the pseudo-label of every image, -1 if it is not kept.

    logits: (images, classes), scaled.
    """
    return best_of_each(*logits.softmax(-1).max(-1), top_k)


def best_of_each(confidence: Tensor, predicted: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Like `most_confident`, from each image's confidence and predicted class, both (images,); an
    image of class -1 is never kept."""
    pseudo = torch.full_like(predicted, -1)
    for label in predicted[predicted >= 0].unique():
        members = (predicted == label).nonzero()[:, 0]
        best = members[confidence[members].argsort(descending=True, stable=True)[:top_k]]
        pseudo[best] = label
    return (pseudo >= 0).nonzero()[:, 0], pseudo


def train_on_confident(trainer, zero_shot: Tensor, top_k: int) -> Tensor:
    """Restrict the training of `trainer` (a CLIPTrainer) to the `top_k` most confident unlabelled
    images of each class. Its notes get their number and the classes without any.

    zero_shot: (images, K), unscaled cosines.  Returns the pseudo-labels (images,), -1 for an unused
    image, on the trainer's device.
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
    """Mean feature of each pseudo-label, as a unit vector; `otherwise` for a class without images.

    features: (images, embedding); pseudo: (images,), -1 for an unused image; otherwise:
    (K, embedding).  Returns (K, embedding).
    """
    means = otherwise.clone()
    for label in pseudo[pseudo >= 0].unique().tolist():
        means[label] = F.normalize(features[pseudo == label].mean(0), dim=0)
    return means


def moved_back(prob: Tensor, zero_shot: Tensor, similarity: Tensor) -> Tensor:
    """Targets of MARS (arXiv:2610.07903): give the probability that training added to other classes
    back to the zero-shot class, as far as the image features contradict the move.

    prob, zero_shot: (images, K), predictions of the current and of the zero-shot model, rows sum to
    1; similarity: (images, K), of an image to the mean feature of each zero-shot class.
    Returns (images, K), whose rows sum to 1.
    """
    own = zero_shot.argmax(-1)  # c
    gain = (prob - zero_shot).clamp(min=0)  # g
    to_own = similarity.gather(1, own[:, None])
    supported = similarity.gather(1, prob.argmax(-1, keepdim=True)) > to_own  # the move as a whole
    doubted = gain * ((to_own > similarity) & ~supported)  # h g
    sums = gain.new_zeros(2, zero_shot.shape[1], zero_shot.shape[1])  # by own class
    doubted_sum, gain_sum = sums[0].index_add_(0, own, doubted), sums[1].index_add_(0, own, gain)
    share = torch.where(gain_sum > 0, doubted_sum / gain_sum, 0.0)  # rho, row c
    moved = share[own] * doubted
    return (prob - moved).scatter_add(1, own[:, None], moved.sum(1, keepdim=True))


def candidate_labels(prob: Tensor, quantile: float, share: float) -> Tensor:
    """Candidate labels of each image, (images, K) bool (CPL, arXiv:2406.10502); an image may have
    none. prob: (images, K).

    A candidate meets two conditions. It is among the image's most probable labels, up to the one
    whose cumulative sum exceeds a threshold, the `quantile` of the images' largest probabilities.
    And the image is in the top `share` of all images by the probability of that label.
    """
    threshold = prob.amax(-1).quantile(quantile)
    ordered, order = prob.sort(dim=-1, descending=True, stable=True)
    before = F.pad(ordered.cumsum(-1), (1, -1))  # summed probability of all more probable labels
    within = torch.zeros_like(prob, dtype=torch.bool).scatter(1, order, before <= threshold)
    least = torch.stack([column.quantile(1 - share) for column in prob.T])
    return within & (prob >= least)
