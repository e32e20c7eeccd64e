"""Distances between the rows of two matrices."""

import torch
from dassl.utils import ConfigValueError, check_availability
from torch import Tensor
from torch.nn import functional as F


def euclidean_squared_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """(m, features), (n, features) -> (m, n)."""
    squares1, squares2 = input1.square().sum(1)[:, None], input2.square().sum(1)[None]
    return torch.addmm(squares1 + squares2, input1, input2.T, alpha=-2)


def cosine_distance(input1: Tensor, input2: Tensor) -> Tensor:
    """(m, features), (n, features) -> (m, n): 1 minus the cosine."""
    return 1 - F.normalize(input1, dim=1) @ F.normalize(input2, dim=1).T


_METRICS = {"euclidean": euclidean_squared_distance, "cosine": cosine_distance}


def compute_distance_matrix(input1: Tensor, input2: Tensor, metric: str = "euclidean") -> Tensor:
    """(m, features), (n, features) -> (m, n); "euclidean" is squared.

    Raises ConfigValueError for another metric, or for matrices that do not fit.
    """
    check_availability(metric, list(_METRICS), "metric")
    if input1.dim() != 2 or input2.dim() != 2 or input1.shape[1] != input2.shape[1]:
        raise ConfigValueError(
            "distances need two matrices with equally long rows, not shapes "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    return _METRICS[metric](input1, input2)
