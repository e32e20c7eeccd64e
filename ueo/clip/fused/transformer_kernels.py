"""LayerNorm and QuickGELU as Triton kernels; they compute in fp32, whatever they read and write.

Rows are tokens, columns the width. Sums over rows have the same order in every run.
"""

import triton
import triton.language as tl

from ueo.clip.fused.sums import store_sums


@triton.jit
def norm(x, weight, bias, eps, y, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """y = (x - mean) / sqrt(variance + eps) * weight + bias, of each row."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    wide = column < columns
    inside = (row < rows)[:, None] & wide[None]
    place = row[:, None] * columns + column[None]
    value = tl.load(x + place, inside, 0.0).to(tl.float32)
    value = tl.where(wide[None], value - (tl.sum(value, 1) / columns)[:, None], 0.0)
    value *= tl.rsqrt(tl.sum(value * value, 1) / columns + eps)[:, None]
    value = value * tl.load(weight + column, wide, 0.0)[None]
    value += tl.load(bias + column, wide, 0.0)[None]
    tl.store(y + place, value.to(y.dtype.element_ty), inside)


@triton.jit
def norm_backward(
    gradient, x, weight, eps, of_x, sums, rows, columns,
    INPUT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """Gradient of x (INPUT); sums (programs, 2, columns): each program's part of the gradients of
    weight and bias."""
    column = tl.arange(0, COLUMNS)
    wide = column < columns
    scale = tl.load(weight + column, wide, 0.0)
    of_weight = tl.zeros((ROWS, COLUMNS), tl.float32)
    of_bias = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = tl.cast(first, tl.int64) + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & wide[None]
        place = row[:, None] * columns + column[None]
        value = tl.load(x + place, inside, 0.0).to(tl.float32)
        g = tl.load(gradient + place, inside, 0.0).to(tl.float32)
        value = tl.where(wide[None], value - (tl.sum(value, 1) / columns)[:, None], 0.0)
        inverse = tl.rsqrt(tl.sum(value * value, 1) / columns + eps)
        value *= inverse[:, None]
        of_weight += g * value
        of_bias += g
        if INPUT:
            g *= scale[None]
            along = (tl.sum(g * value, 1) / columns)[:, None]
            g = (g - (tl.sum(g, 1) / columns)[:, None] - value * along) * inverse[:, None]
            tl.store(of_x + place, g.to(of_x.dtype.element_ty), inside)
    store_sums(sums, of_weight, of_bias, column, wide, columns)


@triton.jit
def quick_gelu(x, y, count, SLOPE: tl.constexpr, SIZE: tl.constexpr):
    """y = x * sigmoid(SLOPE * x)."""
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    value = tl.load(x + place, place < count, 0.0).to(tl.float32)
    value *= tl.sigmoid(SLOPE * value)
    tl.store(y + place, value.to(y.dtype.element_ty), place < count)


@triton.jit
def quick_gelu_backward(gradient, x, of_x, count, SLOPE: tl.constexpr, SIZE: tl.constexpr):
    """Gradient of x."""
    place = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    value = tl.load(x + place, place < count, 0.0).to(tl.float32)
    g = tl.load(gradient + place, place < count, 0.0).to(tl.float32)
    gate = tl.sigmoid(SLOPE * value)
    g *= gate * (1.0 + SLOPE * value * (1.0 - gate))
    tl.store(of_x + place, g.to(of_x.dtype.element_ty), place < count)
