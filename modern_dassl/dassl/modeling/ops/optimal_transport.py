"""Distances between two sets of features by entropic optimal transport.

Cuturi, Sinkhorn Distances, NIPS 2013; Salimans et al., Improving GANs Using Optimal Transport,
ICLR 2018 (the distance of mini-batches).
"""

import math

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn
from torch.nn import functional as F


class OptimalTransport(nn.Module):
    """Base with the costs of moving rows to rows."""

    @staticmethod
    def distance(batch1: Tensor, batch2: Tensor, dist_metric: str = "cosine") -> Tensor:
        """Return costs (n, m): 1 - cosine, or squared distances for euclidean, fast_euclidean."""
        if dist_metric == "cosine":
            return 1 - F.normalize(batch1, dim=1) @ F.normalize(batch2, dim=1).T
        if dist_metric == "euclidean":
            squares = batch1.square().sum(1, keepdim=True) + batch2.square().sum(1)
            return squares - 2 * batch1 @ batch2.T
        if dist_metric == "fast_euclidean":
            return (batch1.unsqueeze(-2) - batch2.unsqueeze(-3)).square().sum(-1)
        raise ConfigValueError(
            f"dist_metric must be cosine, euclidean or fast_euclidean, not {dist_metric!r}"
        )


class SinkhornDivergence(OptimalTransport):
    """2 W(x, y) - W(x, x) - W(y, y), with the cost W of the entropic plan.

    eps: weight of the entropy. max_iter: limit of the Sinkhorn iterations, which stop earlier if
    the potentials move by less than `thre`. bp_to_sinkhorn: let gradients pass through the plan.
    """

    thre = 1e-3

    def __init__(
        self,
        dist_metric: str = "cosine",
        eps: float = 0.01,
        max_iter: int = 5,
        bp_to_sinkhorn: bool = False,
    ):
        super().__init__()
        self.dist_metric, self.eps, self.max_iter = dist_metric, eps, max_iter
        self.bp_to_sinkhorn = bp_to_sinkhorn

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        cost = self.transport_cost
        return 2 * cost(x, y) - cost(x, x) - cost(y, y)

    def transport_cost(self, x: Tensor, y: Tensor, return_pi: bool = False):
        """Return the cost W, and with `return_pi` also the plan (n, m)."""
        costs = self.distance(x, y, self.dist_metric)
        plan = self.sinkhorn_iterate(costs, self.eps, self.max_iter, self.thre)
        if not self.bp_to_sinkhorn:
            plan = plan.detach()
        cost = (plan * costs).sum()
        return (cost, plan) if return_pi else cost

    @staticmethod
    def sinkhorn_iterate(C: Tensor, eps: float, max_iter: int, thre: float) -> Tensor:
        """Return the plan with uniform marginals for costs C, by iterations in the log domain."""
        rows, columns = C.shape
        u, v = C.new_zeros(rows), C.new_zeros(columns)
        for _ in range(max_iter):
            before = u
            scaled = (u[:, None] - C + v) / eps
            u = u + eps * (math.log(1 / rows + 1e-8) - scaled.logsumexp(1))
            scaled = (u[:, None] - C + v) / eps
            v = v + eps * (math.log(1 / columns + 1e-8) - scaled.logsumexp(0))
            if (u - before).abs().sum() < thre:
                break
        return torch.exp((u[:, None] - C + v) / eps)


class MinibatchEnergyDistance(SinkhornDivergence):
    """Costs between halves of x and halves of y, minus twice those between halves of the same."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x1, x2 = x.chunk(2)
        y1, y2 = y.chunk(2)
        cost = self.transport_cost
        between = cost(x1, y1) + cost(x1, y2) + cost(x2, y1) + cost(x2, y2)
        return between - 2 * cost(x1, x2) - 2 * cost(y1, y2)
