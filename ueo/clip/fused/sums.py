"""The last part of both norms' backward kernels."""

import triton
import triton.language as tl


@triton.jit
def store_sums(sums, of_weight, of_bias, column, wide, columns):
    """Write this program's part of the gradients of weight and bias, (rows, columns) each, to its
    row of sums (programs, 2, columns), which torch adds up, so in a fixed order."""
    mine = sums + tl.program_id(0) * 2 * columns + column
    tl.store(mine, tl.sum(of_weight, 0), wide)
    tl.store(mine + columns, tl.sum(of_bias, 0), wide)
