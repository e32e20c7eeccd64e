"""Adapters of transductive methods, which classify many images jointly.

`jointly` classifies all images of an evaluation together; `forward` classifies each image alone, by
what `fill` stored of the images that were adapted to. Before `fill`, both return CLIP's cosines.
"""

import torch
from torch import Tensor, nn

from ueo.transduction import mixture, propagation
from ueo.transduction.neighbours import affinity


class GaussianClasses(nn.Module):
    """Cosines plus, divided by the logit scale, the terms that class Gaussians add to the logits
    (mixture.py): log-likelihood and neighbours, over their temperature.

    scale: the logit scale.
    """

    def __init__(self, classes: int, embedding: int, scale: float):
        super().__init__()
        self.scale = scale
        self.register_buffer("means", torch.zeros(classes, embedding))
        self.register_buffer("variances", torch.ones(classes, embedding))
        self.register_buffer("filled", torch.tensor(False))

    def fill(self, found: mixture.Mixture) -> None:
        self.means.copy_(found.means)
        self.variances.copy_(found.variances)
        self.filled.fill_(True)

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features, cosines = _cosines(features, class_features)
        if not self.filled:
            return cosines
        return cosines + self._likelihood(features) / (mixture.TEMPERATURE * self.scale)

    def jointly(self, features: Tensor, class_features: Tensor) -> Tensor:
        """Classify all images of an evaluation, (images, embedding): (images, classes)."""
        features, cosines = _cosines(features, class_features)
        if not self.filled:
            return cosines
        log_prior = (self.scale * cosines).log_softmax(-1)
        graph = affinity(features, mixture.NEIGHBOURS)
        z = mixture.posterior(log_prior, self._likelihood(features), graph, log_prior.exp())
        return cosines + (z.clamp(min=mixture.LEAST).log() - log_prior) / self.scale

    def _likelihood(self, features: Tensor) -> Tensor:
        found = mixture.log_likelihood(features, self.means, self.variances)
        return found - found.amax(-1, keepdim=True)  # a term common to all classes has no effect


def _cosines(features: Tensor, class_features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.float()
    return features, features @ class_features.float().T


class Propagated(nn.Module):
    """Labels propagated from class names along a graph of images (propagation.py), normalised to
    shares: (images, classes), each row sums to 1.

    A single image takes the labels of its neighbours among the images that were adapted to, from
    each only the largest label (the paper's sparse inductive variant).

    images: number of images that were adapted to.
    """

    def __init__(self, images: int, classes: int, embedding: int):
        super().__init__()
        nodes = classes + images
        self.register_buffer("features", torch.zeros(images, embedding))
        self.register_buffer("best", torch.zeros(nodes, dtype=torch.long))
        self.register_buffer("amount", torch.zeros(nodes))
        self.register_buffer("filled", torch.tensor(False))

    def fill(self, features: Tensor, labels: Tensor) -> None:
        """features: (images, embedding); labels: (classes + images, classes), from `propagate`."""
        self.features.copy_(features)
        amount, best = labels.max(1)
        self.amount.copy_(amount)
        self.best.copy_(best)
        self.filled.fill_(True)

    def forward(self, features: Tensor, class_features: Tensor) -> Tensor:
        features, cosines = _cosines(features, class_features)
        if not self.filled:
            return cosines
        found = (features @ self.features.T).topk(
            min(propagation.NEIGHBOURS, len(self.features)))
        weights, nodes = propagation.links(features, class_features.float(), found)
        given = weights * self.amount[nodes]
        return _shares(torch.zeros_like(cosines).scatter_add_(1, self.best[nodes], given))

    def jointly(self, features: Tensor, class_features: Tensor) -> Tensor:
        """Classify all images of an evaluation, (images, embedding): (images, classes)."""
        features, cosines = _cosines(features, class_features)
        if not self.filled:
            return cosines
        return propagated_shares(features, class_features.float())


def propagated_shares(features: Tensor, texts: Tensor) -> Tensor:
    """Label shares of images that are classified together: (images, classes), fp32."""
    return _shares(propagation.propagate(features, texts)[len(texts):])


def _shares(labels: Tensor) -> Tensor:
    return labels / labels.sum(-1, keepdim=True).clamp(min=torch.finfo(labels.dtype).tiny)
