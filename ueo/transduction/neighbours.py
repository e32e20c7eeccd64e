"""Nearest neighbours among unit vectors, found in blocks, and the graph of their cosines."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 64_000_000  # cosines in memory at once: 256 MB


@dataclass(frozen=True)
class Graph:
    """A sparse square matrix: columns and values, (entries,), by rows; starts of rows, (rows,)."""

    columns: Tensor
    values: Tensor
    starts: Tensor

    def __matmul__(self, z: Tensor) -> Tensor:
        """Multiply by z: (rows, width). The order of summation is deterministic, also on a GPU."""
        return F.embedding_bag(
            self.columns, z, self.starts, per_sample_weights=self.values, mode="sum"
        )

    def row_sums(self) -> Tensor:
        """(rows,)"""
        return (self @ self.values.new_ones(len(self.starts), 1))[:, 0]


def nearest(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return cosines and indices of each image's nearest other images, each (images, count).

    features: (images, embedding), unit vectors. count is capped at the number of other images.
    """
    images = len(features)
    count = min(count, images - 1)
    cosines = features.new_empty(images, count)
    indices = torch.empty(images, count, dtype=torch.long, device=features.device)
    step = max(BLOCK // max(images, 1), 1)
    for start in range(0, images, step):
        rows = slice(start, min(start + step, images))
        block = features[rows] @ features.T
        block.diagonal(start).fill_(-torch.inf)  # an image is no neighbour of itself
        cosines[rows], indices[rows] = block.topk(count)
    return cosines, indices


def affinity(features: Tensor, count: int) -> Graph:
    """W + W', where W holds each image's cosines with its `count` nearest other images."""
    cosines, indices = nearest(features, count)
    images, found = indices.shape
    rows = torch.arange(images, device=features.device).repeat_interleave(found)
    return symmetric(rows, indices.flatten(), cosines.flatten(), images)


def symmetric(rows: Tensor, columns: Tensor, values: Tensor, size: int) -> Graph:
    """W + W' of the (size, size) matrix W with `values` at (rows, columns), each (entries,)."""
    rows, columns = torch.cat([rows, columns]), torch.cat([columns, rows])
    order = rows.argsort(stable=True)
    counts = rows.bincount(minlength=size)
    return Graph(columns[order], torch.cat([values, values])[order], counts.cumsum(0) - counts)
