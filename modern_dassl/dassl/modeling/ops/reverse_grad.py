"""Gradient reversal. Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 2016."""

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return -ctx.scale * gradient, None


reverse_grad = _Reversal.apply


class ReverseGrad(nn.Module):
    """The identity with a gradient multiplied by -grad_scaling."""

    def forward(self, x: Tensor, grad_scaling: float = 1.0) -> Tensor:
        if grad_scaling < 0:
            raise ConfigValueError(f"grad_scaling must not be negative, but is {grad_scaling}")
        return reverse_grad(x, grad_scaling)
