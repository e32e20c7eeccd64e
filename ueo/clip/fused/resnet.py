"""The layers between the convolutions of CLIP's ResNet: BatchNorm, ReLU, residual, pooling.

On a GPU each is one kernel forward and one backward (resnet_kernels.py). torch passes over memory
five times for a BatchNorm with its ReLU, and its channels-last kernels read element by element.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ueo.clip.fused.available import fits

ELEMENTS = 4096  # of a program's block
WIDEST = 64  # channels of a block, at most
PROGRAMS = 2048  # of a backward pass, at most; each writes a row of sums


def normalised(
    norm: nn.Module, x: Tensor, other: Tensor | None = None, relu: bool = True
) -> Tensor:
    """Return relu(norm(x) + other). x, other: (batch, channels, height, width)."""
    ours = (isinstance(norm, nn.BatchNorm2d) and norm.affine and not norm.training
            and norm.running_mean is not None and norm.weight.dtype == torch.float32)
    if ours and _channels_last(x) and fits(x):
        return Norm.of(norm, x, other, relu)
    x = norm(x)
    if other is not None:
        x += other
    return F.relu(x, inplace=True) if relu else x


def pooled(pool: nn.Module, x: Tensor) -> Tensor:
    """Return pool(x), of an AvgPool2d or Identity. x: (batch, channels, height, width)."""
    if isinstance(pool, nn.AvgPool2d) and pool.kernel_size == pool.stride == 1:
        return x  # the first block's shortcut; torch would copy
    halves = (isinstance(pool, nn.AvgPool2d)
              and (pool.kernel_size, pool.stride, pool.padding) == (2, 2, 0))
    even = x.shape[2] % 2 == x.shape[3] % 2 == 0
    return Pool.apply(x) if halves and even and _channels_last(x) and fits(x) else pool(x)


def _kernels():
    from ueo.clip.fused import resnet_kernels  # imported late: needs Triton

    return resnet_kernels


def _channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)


def _blocks(rows: int, columns: int) -> tuple[tuple[int, int], dict]:
    """Return (number of programs along rows and columns, size of a program's block)."""
    wide = min(WIDEST, 1 << (columns - 1).bit_length())
    high = ELEMENTS // wide
    return (-(-rows // high), -(-columns // wide)), {"ROWS": high, "COLUMNS": wide}


class Norm(torch.autograd.Function):
    """BatchNorm with running statistics, optionally followed by a residual and ReLU."""

    @classmethod
    def of(cls, norm: nn.BatchNorm2d, x: Tensor, other: Tensor | None, relu: bool) -> Tensor:
        if other is not None:
            other = other.contiguous(memory_format=torch.channels_last)
        return cls.apply(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps,
                         other, relu)

    @staticmethod
    def forward(ctx, x, weight, bias, mean, variance, eps, other, relu) -> Tensor:
        y = torch.empty_like(x)
        rows, columns = x.numel() // x.shape[1], x.shape[1]
        grid, sizes = _blocks(rows, columns)
        _kernels().norm[grid](
            x, x if other is None else other, weight, bias, mean, variance, eps, y, rows, columns,
            RELU=relu, RESIDUAL=other is not None, **sizes,
        )
        ctx.eps, ctx.relu, ctx.residual = eps, relu, other is not None
        ctx.save_for_backward(x, weight, bias, mean, variance, y if ctx.residual else x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple:
        x, weight, bias, mean, variance, y = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        rows, columns = x.numel() // x.shape[1], x.shape[1]
        (along_rows, along_columns), sizes = _blocks(rows, columns)
        grid = min(along_rows, max(1, PROGRAMS // along_columns)), along_columns
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_other = torch.empty_like(x) if ctx.residual else None
        sums = torch.empty(grid[0], 2, columns, device=x.device)
        _kernels().norm_backward[grid](
            gradient, x, y, weight, bias, mean, variance, ctx.eps,
            x if of_x is None else of_x, x if of_other is None else of_other, sums, rows, columns,
            RELU=ctx.relu, RESIDUAL=ctx.residual, INPUT=of_x is not None, **sizes,
        )
        of_weight, of_bias = sums.sum(0)
        return of_x, of_weight, of_bias, None, None, None, of_other, None


class Pool(torch.autograd.Function):
    """Average pooling over 2 x 2 places."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = torch.empty(batch, channels, height // 2, width // 2, dtype=x.dtype, device=x.device,
                        memory_format=torch.channels_last)
        _launch_pool(x, y, backward=False)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        batch, channels, height, width = gradient.shape
        of_x = torch.empty(batch, channels, 2 * height, 2 * width, dtype=gradient.dtype,
                           device=gradient.device, memory_format=torch.channels_last)
        _launch_pool(of_x, gradient, backward=True)
        return of_x


def _launch_pool(x: Tensor, y: Tensor, backward: bool) -> None:
    rows, columns = y.numel() // y.shape[1], y.shape[1]
    grid, sizes = _blocks(rows, columns)
    _kernels().pool[grid](x, y, rows, columns, y.shape[3], BACKWARD=backward, **sizes)
