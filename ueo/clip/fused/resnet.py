"""What stands between the convolutions of CLIP's ResNet: BatchNorm, ReLU, residual, pooling.

On a GPU each is one kernel forward and one backward (kernels.py). torch has five passes over memory
for a BatchNorm with its ReLU where there is one to make, and its kernels for channels last read
element by element.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ueo.errors import first_line

ELEMENTS = 4096  # that a program works on at once
WIDEST = 64  # channels of them at most
PROGRAMS = 2048  # of a backward pass at most; each leaves a row of sums


def normalised(
    norm: nn.Module, x: Tensor, other: Tensor | None = None, relu: bool = True
) -> Tensor:
    """relu(norm(x) + other) of x (batch, channels, height, width); other: alike."""
    if _fits(x) and isinstance(norm, nn.BatchNorm2d) and _by_statistics_of_its_own(norm):
        other = other if other is None else other.contiguous(memory_format=torch.channels_last)
        return _Norm.apply(x, norm.weight, norm.bias, norm.running_mean, norm.running_var,
                           norm.eps, other, relu)
    x = norm(x)
    if other is not None:
        x += other
    return F.relu(x, inplace=True) if relu else x


def pooled(pool: nn.Module, x: Tensor) -> Tensor:
    """What an AvgPool2d or Identity makes of x (batch, channels, height, width)."""
    halves = isinstance(pool, nn.AvgPool2d) and pool.kernel_size == pool.stride == 2
    if halves and pool.padding == 0 and _fits(x) and not (x.shape[2] % 2 or x.shape[3] % 2):
        return _Pool.apply(x)
    return pool(x)


def _by_statistics_of_its_own(norm: nn.BatchNorm2d) -> bool:
    return (norm.running_mean is not None and not norm.training and norm.weight is not None
            and norm.weight.dtype == norm.running_mean.dtype == torch.float32)


def _fits(x: Tensor) -> bool:
    return (x.is_cuda and x.dtype in (torch.float16, torch.float32) and x.shape[1] > 1
            and x.is_contiguous(memory_format=torch.channels_last) and kernels() is not None)


@functools.cache
def kernels():
    """The module of kernels; None, which is said, where Triton cannot build them."""
    try:
        from ueo.clip.fused import kernels as made

        x = torch.ones(1, 2, 2, 2, device="cuda").contiguous(memory_format=torch.channels_last)
        y = x.new_empty(1, 2, 1, 1)
        _launch_pool(made, x, y, backward=False)
        return made
    except Exception as error:  # ImportError without Triton, its own errors without a C compiler
        print(f"BatchNorm and pooling of a ResNet are torch's, slower: no kernel could be built "
              f"({first_line(error)})")
        return None


def _blocks(rows: int, columns: int) -> tuple[tuple[int, int], dict]:
    """(programs along rows, along columns), and the size of a program's block."""
    wide = min(WIDEST, 1 << (columns - 1).bit_length())
    high = ELEMENTS // wide
    return (-(-rows // high), -(-columns // wide)), {"ROWS": high, "COLUMNS": wide}


def _launch_pool(made, x: Tensor, y: Tensor, backward: bool) -> None:
    rows, columns = y.numel() // y.shape[1], y.shape[1]
    grid, sizes = _blocks(rows, columns)
    made.pool[grid](x, y, rows, columns, y.shape[3], BACKWARD=backward, **sizes)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = torch.empty(batch, channels, height // 2, width // 2, dtype=x.dtype, device=x.device,
                        memory_format=torch.channels_last)
        _launch_pool(kernels(), x, y, backward=False)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        batch, channels, height, width = gradient.shape
        of_x = torch.empty(batch, channels, 2 * height, 2 * width, dtype=gradient.dtype,
                           device=gradient.device, memory_format=torch.channels_last)
        _launch_pool(kernels(), of_x, gradient, backward=True)
        return of_x


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, mean, variance, eps, other, relu) -> Tensor:
        y = torch.empty_like(x, memory_format=torch.channels_last)
        rows, columns = x.numel() // x.shape[1], x.shape[1]
        grid, sizes = _blocks(rows, columns)
        kernels().norm[grid](
            x, x if other is None else other, weight, bias, mean, variance, eps, y, rows, columns,
            RELU=relu, RESIDUAL=other is not None, **sizes,
        )
        ctx.eps, ctx.relu, ctx.residual = eps, relu, other is not None
        ctx.save_for_backward(x, weight, bias, mean, variance, *([y] if ctx.residual else []))
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple:
        x, weight, bias, mean, variance, *y = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        rows, columns = x.numel() // x.shape[1], x.shape[1]
        (along_rows, along_columns), sizes = _blocks(rows, columns)
        grid = min(along_rows, max(1, PROGRAMS // along_columns)), along_columns
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_other = torch.empty_like(x) if ctx.residual else None
        sums = torch.empty(grid[0], 2, columns, device=x.device)
        kernels().norm_backward[grid](
            gradient, x, y[0] if y else x, weight, bias, mean, variance, ctx.eps,
            x if of_x is None else of_x, x if of_other is None else of_other, sums, rows, columns,
            RELU=ctx.relu, RESIDUAL=ctx.residual, INPUT=of_x is not None, **sizes,
        )
        of_weight, of_bias = sums.sum(0)
        return of_x, of_weight, of_bias, None, None, None, of_other, None
