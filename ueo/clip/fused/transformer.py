"""The layers around attention and matrix products in CLIP's transformers: LayerNorm, QuickGELU.

On a GPU each is one kernel forward and one backward (transformer_kernels.py), plus one for the sums
of a backward pass. OpenAI's LayerNorm in half precision passes over memory four times forward: a
cast to fp32, two passes of the norm, and a cast back.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ueo.clip.fused.available import fits

SLOPE = 1.702  # of QuickGELU, x * sigmoid(1.702 x)
ELEMENTS = 4096  # of a program's block
WIDEST = 8192  # width of tokens, at most; beyond it torch's norm is used
PROGRAMS = 1024  # of a backward pass, at most; each writes a row of sums


def layer_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """Return norm(x) of tokens (..., width), in x's precision."""
    ours = (isinstance(norm, nn.LayerNorm) and norm.bias is not None
            and norm.weight.dtype == torch.float32 and norm.normalized_shape == x.shape[-1:]
            and x.shape[-1] <= WIDEST and not torch.is_autocast_enabled())
    return Norm.of(norm, x) if ours and fits(x) else norm(x)


def _kernels():
    from ueo.clip.fused import transformer_kernels  # imported late: needs Triton

    return transformer_kernels


def _blocks(rows: int, columns: int) -> tuple[int, dict]:
    """Return (number of programs, size of a program's block)."""
    wide = 1 << (columns - 1).bit_length()
    high = max(1, ELEMENTS // wide)
    return -(-rows // high), {"ROWS": high, "COLUMNS": wide}


class Norm(torch.autograd.Function):
    """LayerNorm of rows."""

    @classmethod
    def of(cls, norm: nn.LayerNorm, x: Tensor) -> Tensor:
        return cls.apply(x, norm.weight, norm.bias, norm.eps)

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        x = x.contiguous()
        y = torch.empty_like(x)
        rows, columns = x.numel() // x.shape[-1], x.shape[-1]
        programs, sizes = _blocks(rows, columns)
        _kernels().norm[(programs,)](x, weight, bias, eps, y, rows, columns, **sizes)
        ctx.eps = eps
        ctx.save_for_backward(x, weight)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        rows, columns = x.numel() // x.shape[-1], x.shape[-1]
        programs, sizes = _blocks(rows, columns)
        programs = min(programs, PROGRAMS)
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        sums = torch.empty(programs, 2, columns, device=x.device)
        _kernels().norm_backward[(programs,)](
            gradient, x, weight, ctx.eps, x if of_x is None else of_x, sums, rows, columns,
            INPUT=of_x is not None, **sizes,
        )
        of_weight, of_bias = sums.sum(0)
        return of_x, of_weight, of_bias, None


class QuickGELU(torch.autograd.Function):
    """x * sigmoid(1.702 x), the activation of OpenAI's towers."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        x = x.contiguous()
        y = torch.empty_like(x)
        programs = -(-x.numel() // ELEMENTS)
        _kernels().quick_gelu[(programs,)](x, y, x.numel(), SLOPE=SLOPE, SIZE=ELEMENTS)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        of_x = torch.empty_like(x)
        programs = -(-x.numel() // ELEMENTS)
        _kernels().quick_gelu_backward[(programs,)](
            gradient.contiguous(), x, of_x, x.numel(), SLOPE=SLOPE, SIZE=ELEMENTS,
        )
        return of_x
