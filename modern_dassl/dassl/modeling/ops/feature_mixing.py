"""Base of MixStyle and EFDMix: when to mix, with which image, and how much."""

import random
from contextlib import contextmanager

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn


class FeatureMixing(nn.Module):
    """In training, with probability `p`, mix each image's feature statistics with another's.

    p:     probability that a batch is mixed.
    alpha: the weight of an image's own statistics is drawn from Beta(alpha, alpha).
    eps:   added to variances.
    mix:   "random": the other image is any of the batch; "crossdomain": one of the other half, for
           batches whose halves come from two domains.

    A subclass defines mixed(x, other, weight).
    """

    def __init__(self, p: float = 0.5, alpha: float = 0.1, eps: float = 1e-6, mix: str = "random"):
        super().__init__()
        self.p, self.alpha, self.eps, self.mix = p, alpha, eps, mix
        self.beta = torch.distributions.Beta(alpha, alpha)
        self._activated = True

    def extra_repr(self) -> str:
        return f"p={self.p}, alpha={self.alpha}, eps={self.eps}, mix={self.mix}"

    def set_activation_status(self, status: bool = True) -> None:
        self._activated = status

    def update_mix_method(self, mix: str = "random") -> None:
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same shape."""
        if not self.training or not self._activated or random.random() > self.p:
            return x
        weight = self.beta.sample((len(x), 1, 1, 1)).to(x.device)
        return self.mixed(x, self.partners(len(x)), weight)

    def partners(self, size: int) -> Tensor:
        """Return the position of each image's partner in the batch."""
        if self.mix == "random":
            return torch.randperm(size)
        if self.mix == "crossdomain":
            halves = torch.arange(size).flip(0).chunk(2)
            return torch.cat([half[torch.randperm(len(half))] for half in halves])
        raise ConfigValueError(f"mix must be random or crossdomain, not {self.mix!r}")

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
        raise NotImplementedError


def switches(kind: type[FeatureMixing]) -> tuple:
    """Return Dassl's six functions for a layer `kind`: (activate, deactivate, random, crossdomain)
    for model.apply(...), and (run_with, run_without), which are context managers."""

    def setting(method: str, value):
        def switch(m) -> None:
            if isinstance(m, kind):
                getattr(m, method)(value)

        return switch

    activate, deactivate = (setting("set_activation_status", status) for status in (True, False))
    at_random, across = (setting("update_mix_method", mix) for mix in ("random", "crossdomain"))

    @contextmanager
    def run_with(model, mix: str | None = None):
        """Mix within the block, but not afterwards. mix: random, crossdomain."""
        if mix is not None:
            model.apply(setting("update_mix_method", mix))
        model.apply(activate)
        try:
            yield
        finally:
            model.apply(deactivate)

    @contextmanager
    def run_without(model):
        """Do not mix within the block, but afterwards."""
        model.apply(deactivate)
        try:
            yield
        finally:
            model.apply(activate)

    return activate, deactivate, at_random, across, run_with, run_without
