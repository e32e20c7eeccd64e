"""Batch normalisation that weights channels by their transferability between two domains.

Wang et al., Transferable Normalization, NeurIPS 2019.
"""

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn


class _TransNorm(nn.Module):
    """Normalises the source and the target half of a batch by their own statistics; in evaluation
    all by the target's. Then multiplies channels by 1 + alpha.

    alpha of a channel is proportional to 1 / (1 + |difference of the domains' mean / deviation|)
    and sums to num_features. adaptive_alpha: False omits it.
    momentum: share of the running statistics that is kept; nn.BatchNorm defines the opposite.
    """

    dimensions: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        adaptive_alpha: bool = True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.adaptive_alpha = adaptive_alpha
        for domain in "st":
            self.register_buffer(f"running_mean_{domain}", torch.zeros(num_features))
            self.register_buffer(f"running_var_{domain}", torch.ones(num_features))
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def reset_running_stats(self) -> None:
        for domain in "st":
            getattr(self, f"running_mean_{domain}").zero_()
            getattr(self, f"running_var_{domain}").fill_(1)

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() != self.dimensions:
            raise ConfigValueError(
                f"{type(self).__name__} takes {self.dimensions} dimensions, not {input.dim()}"
            )
        if self.training and len(input) % 2:
            raise ConfigValueError(f"a batch of {len(input)} cannot be split into two equal halves")
        if self.training:
            halves = input.split(len(input) // 2)
            moments = [self._moments(half, domain) for half, domain in zip(halves, "st")]
            pairs = zip(halves, moments)
        else:
            moments = [
                (self.running_mean_s, self.running_var_s),
                (self.running_mean_t, self.running_var_t),
            ]
            pairs = [(input, moments[1])]
        output = torch.cat([self._normalised(part, *moment) for part, moment in pairs])
        if self.adaptive_alpha:
            output = output * (1 + self._shaped(self._alpha(moments).detach()))
        return output

    def _moments(self, half: Tensor, domain: str) -> tuple[Tensor, Tensor]:
        """Return mean and variance of each channel, and move the running ones towards them."""
        values = half.transpose(0, 1).flatten(1)
        mean, variance = values.mean(1), values.var(1)
        for name, now in (("mean", mean), ("var", variance)):
            running = getattr(self, f"running_{name}_{domain}")
            running.mul_(self.momentum).add_((1 - self.momentum) * now.detach())
        return mean, variance

    def _normalised(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        normal = (x - self._shaped(mean)) / self._shaped(variance + self.eps).sqrt()
        return normal * self._shaped(self.weight) + self._shaped(self.bias)

    def _alpha(self, moments) -> Tensor:
        source, target = (mean / (variance + self.eps).sqrt() for mean, variance in moments)
        near = 1 / (1 + (source - target).abs())
        return self.num_features * near / near.sum()

    def _shaped(self, channels: Tensor) -> Tensor:
        return channels.view(1, -1, *[1] * (self.dimensions - 2))


class TransNorm1d(_TransNorm):
    """(batch, num_features)."""

    dimensions = 2


class TransNorm2d(_TransNorm):
    """(batch, num_features, height, width)."""

    dimensions = 4
