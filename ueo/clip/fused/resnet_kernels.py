"""BatchNorm with its ReLU and residual, and average pooling, as Triton kernels.

Activations are channels last: rows are places of the batch, columns are channels, and the channels
of a place are contiguous. Sums are in fp32, in an order that does not change from run to run.
"""

import triton
import triton.language as tl

from ueo.clip.fused.sums import store_sums


@triton.jit
def norm(
    x, other, weight, bias, mean, variance, eps, y, rows, columns,
    RELU: tl.constexpr, RESIDUAL: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """y = relu((x - mean) / sqrt(variance + eps) * weight + bias + other)."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    wide = column < columns
    inside = (row < rows)[:, None] & wide[None]
    place = row[:, None] * columns + column[None]
    deviation = tl.sqrt(tl.load(variance + column, wide, 1.0) + eps)
    scale = tl.load(weight + column, wide, 0.0) / deviation
    centre = tl.load(mean + column, wide, 0.0)
    value = tl.load(x + place, inside, 0.0).to(tl.float32)
    value = (value - centre[None]) * scale[None] + tl.load(bias + column, wide, 0.0)[None]
    if RESIDUAL:  # round first, as if the norm were a kernel of its own
        value = value.to(y.dtype.element_ty).to(tl.float32)
        value += tl.load(other + place, inside, 0.0).to(tl.float32)
    if RELU:
        value = tl.where(value < 0.0, 0.0, value)  # keeps a NaN, as torch's does
    tl.store(y + place, value.to(y.dtype.element_ty), inside)


@triton.jit
def norm_backward(
    gradient, x, y, weight, bias, mean, variance, eps, of_x, of_other, sums, rows, columns,
    RELU: tl.constexpr, RESIDUAL: tl.constexpr, INPUT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """Gradients of x (INPUT) and of other (RESIDUAL); sums (programs, 2, columns): each program's
    part of the gradients of weight and bias."""
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    wide = column < columns
    inverse = 1.0 / tl.sqrt(tl.load(variance + column, wide, 1.0) + eps)
    centre = tl.load(mean + column, wide, 0.0)
    scale = tl.load(weight + column, wide, 0.0) * inverse
    shift = tl.load(bias + column, wide, 0.0)
    of_weight = tl.zeros((ROWS, COLUMNS), tl.float32)
    of_bias = tl.zeros((ROWS, COLUMNS), tl.float32)
    for first in range(tl.program_id(0) * ROWS, rows, tl.num_programs(0) * ROWS):
        row = tl.cast(first, tl.int64) + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & wide[None]
        place = row[:, None] * columns + column[None]
        g = tl.load(gradient + place, inside, 0.0).to(tl.float32)
        value = tl.load(x + place, inside, 0.0).to(tl.float32) - centre[None]
        if RELU:
            if RESIDUAL:
                out = tl.load(y + place, inside, 0.0).to(tl.float32)
            else:
                out = (value * scale[None] + shift[None]).to(x.dtype.element_ty).to(tl.float32)
            g = tl.where(out <= 0.0, 0.0, g)
        of_weight += g * value * inverse[None]
        of_bias += g
        if RESIDUAL:
            tl.store(of_other + place, g.to(of_other.dtype.element_ty), inside)
        if INPUT:
            tl.store(of_x + place, (g * scale[None]).to(of_x.dtype.element_ty), inside)
    store_sums(sums, of_weight, of_bias, column, wide, columns)


@triton.jit
def pool(
    x, y, rows, columns, width,
    BACKWARD: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):
    """y: means of 2 x 2 places of x. rows: of y; width: of y's images. BACKWARD: gradients from y
    to x, a quarter for each place."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row < rows)[:, None] & (column < columns)[None]
    small = row[:, None] * columns + column[None]
    top = (row // width * 4 * width + row % width * 2)[:, None] * columns + column[None]
    below = top + 2 * width * columns
    if BACKWARD:
        value = (tl.load(y + small, inside, 0.0).to(tl.float32) * 0.25).to(x.dtype.element_ty)
        tl.store(x + top, value, inside)
        tl.store(x + top + columns, value, inside)
        tl.store(x + below, value, inside)
        tl.store(x + below + columns, value, inside)
    else:
        total = tl.load(x + top, inside, 0.0).to(tl.float32)
        total += tl.load(x + top + columns, inside, 0.0).to(tl.float32)
        total += tl.load(x + below, inside, 0.0).to(tl.float32)
        total += tl.load(x + below + columns, inside, 0.0).to(tl.float32)
        tl.store(y + small, (total * 0.25).to(y.dtype.element_ty), inside)
