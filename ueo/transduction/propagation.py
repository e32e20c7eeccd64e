"""ZLaP (Stojnic et al., CVPR 2024, arXiv:2404.04072): label propagation from class names to images.

The nodes of the graph are the text features of the classes and the images. Edges link an image to
its NEIGHBOURS nearest images, with weight cosine, and to as many nearest texts, with weight
cosine ** GAMMA. With the symmetrically normalised weights S, labels spread from the texts Y:

    Z = (I - ALPHA S)^-1 Y
"""

import torch
from torch import Tensor

from ueo.transduction.neighbours import nearest, symmetric

NEIGHBOURS, GAMMA, ALPHA = 5, 5.0, 0.3  # as released; NEIGHBOURS includes the image itself
TERMS = 20  # of the power series of the inverse; ALPHA ** TERMS is 3e-11


def links(features: Tensor, texts: Tensor, found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return weights and columns, (images, links), of the images' edges; columns below the number
    of classes are texts. found: cosines and indices of each image's nearest images."""
    cosines, indices = found
    to_text, text = (features @ texts.T).topk(min(NEIGHBOURS, len(texts)))
    weights = torch.cat([to_text.clamp(min=0) ** GAMMA, cosines.clamp(min=0)], dim=1)
    return weights, torch.cat([text, indices + len(texts)], dim=1)


def propagate(features: Tensor, texts: Tensor) -> Tensor:
    """Z of all nodes, texts first: (classes + images, classes).

    features: (images, embedding), texts: (classes, embedding), unit vectors, fp32.
    """
    classes, nodes = len(texts), len(texts) + len(features)
    weights, columns = links(features, texts, nearest(features, NEIGHBOURS - 1))
    rows = torch.arange(classes, nodes, device=features.device)[:, None].expand_as(columns)
    joined = symmetric(rows.flatten(), columns.flatten(), weights.flatten(), nodes)
    degree = joined.row_sums()
    root = torch.where(degree > 0, degree, 1).rsqrt()[:, None]
    start = features.new_zeros(nodes, classes)
    start[:classes].fill_diagonal_(1)
    z = start
    for _ in range(TERMS):
        z = start + ALPHA * root * (joined @ (root * z))
    return z
