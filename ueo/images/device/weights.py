"""What boxes are resampled by: weights of whole numbers, whose sums a matrix product has exactly.

The weights are those of torch's uint8 kernel on a CPU: of the cubic kernel, stretched where an axis
shrinks, times the largest power of two that keeps them below 2^15, rounded. Each is cut into two
parts of at most eight significant bits, as pixels have. So every product and every sum is a whole
number that fp32 holds exactly, and TF32 or bfloat16 products are as exact.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK = 32  # neighbouring outputs that share a window of pixels
A = -0.5  # of the cubic kernel (Keys, 1981), as in Pillow
FIRST_BITS, MOST_BITS = 15, 22  # of a weight, and of the sum of an output's weights
LOW_BITS = 7  # of a weight, in its second part
MOST_SHRUNK = 256  # times that a side may shrink: sums of more pixels would not be exact in fp32


@dataclass(frozen=True)
class Axes:
    """What both axes of a batch's boxes are resampled by; boxes' first axes, then their second.

    taps: (2 boxes, blocks, window), int64: the pixels of each block's window. weights: (2 boxes,
    blocks, 2 BLOCK, window), fp32: high parts of the outputs' weights, then low ones. bits, half:
    (2 boxes, 1, 1, 1, 1), int32: the sum of an output's weights is 2^bits, half is half of it.
    """

    taps: Tensor
    weights: Tensor
    bits: Tensor
    half: Tensor

    def part(self, second: bool, begin: int, end: int, extent: int, size: int
             ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """(taps, (weights, bits, half)) of the boxes from `begin` to `end`, whose largest extent
        and size these are."""
        shift = second * (len(self.taps) // 2)
        rows, blocks = slice(begin + shift, end + shift), blocks_of(size)
        window = window_of(extent, size)
        weights = self.weights[rows, :blocks, :, :window]
        return self.taps[rows, :blocks, :window], (weights, self.bits[rows], self.half[rows])


def both_axes(table: Tensor, known: np.ndarray) -> Axes:
    """table: (boxes, 4), int64: extents of the first and the second axis, their sizes when resized;
    known: the same on the CPU."""
    pairs = [pair for row in known.tolist() for pair in (row[::2], row[1::2])]
    reach, window = (max(f(*pair) for pair in pairs) for f in (reach_of, window_of))
    blocks = blocks_of(int(known[:, 2:].max()))
    extents, sizes = table.T.reshape(2, -1, 1)
    begin, exact = _exact_weights(extents, sizes, blocks * BLOCK, reach)
    bits = _bits(exact.amax((1, 2), keepdim=True))
    scaled = exact * (1 << bits)
    whole = torch.add(scaled, scaled.sign(), alpha=0.5).long()
    high = whole + (1 << LOW_BITS - 1) >> LOW_BITS
    parts = torch.stack([high, torch.sub(whole, high, alpha=1 << LOW_BITS)], 1).float()
    begin = begin.unflatten(1, (blocks, BLOCK))
    starts = begin[..., :1]
    count = torch.arange(max(reach, window), device=table.device)
    places = ((begin - starts)[..., None] + count[:reach]).clamp_(max=window)[:, :, None]
    weights = parts.new_zeros(len(begin), blocks, 2, BLOCK, window + 1)  # the last is beyond
    parts = parts.unflatten(2, (blocks, BLOCK)).transpose(1, 2)
    weights.scatter_(-1, places.expand(-1, -1, 2, -1, -1), parts)
    taps = torch.minimum(starts + count[:window], extents[..., None] - 1)
    bits = bits[..., None, None].int()
    return Axes(taps, weights[..., :window].flatten(2, 3), bits, 1 << (bits - 1))


def _exact_weights(extents: Tensor, sizes: Tensor, outputs: int, reach: int
                   ) -> tuple[Tensor, Tensor]:
    """(first pixel that each output reaches (rows, outputs), int64; weights of `reach` pixels from
    there (rows, outputs, reach), fp64) for rows of `extents` pixels that become `sizes`.

    What is beyond a row's size repeats its last output.
    """
    scale = extents.double() / sizes
    stretch = scale.clamp(min=1)
    number = torch.minimum(torch.arange(outputs, device=extents.device), sizes - 1)
    centre = scale * (number + 0.5)
    begin = (torch.sub(centre, stretch, alpha=2) + 0.5).clamp_(min=0).long()
    taps = begin[..., None] + torch.arange(reach, device=extents.device)
    distance = ((taps - centre[..., None] + 0.5) * (1 / stretch)[..., None]).abs_()
    weights = _cubic(distance) * (taps < extents[..., None])
    return begin, weights / weights.sum(-1, keepdim=True)


def blocks_of(size: int) -> int:
    """Blocks of so many outputs."""
    return -(-size // BLOCK)


def reach_of(extent: int, size: int) -> int:
    """The most pixels that a weight reaches; extent: of the box."""
    return 2 * math.ceil(2 * max(extent / size, 1)) + 1


def window_of(extent: int, size: int) -> int:
    """The most pixels that a block of outputs reaches."""
    return min(extent, int((BLOCK - 1) * extent / size) + 2 + reach_of(extent, size))


def _bits(largest: Tensor) -> Tensor:
    """int64: the most bits with which the largest weight stays below 2^15; largest: (rows, 1, 1).
    """
    powers = 1 << torch.arange(1, MOST_BITS + 1, device=largest.device)
    return (largest * powers < (1 << FIRST_BITS) - 0.5).sum(-1, keepdim=True)


def _cubic(x: Tensor) -> Tensor:
    """The cubic kernel at distances x >= 0; 0 from 2 on."""
    x = x.clamp(max=2)
    near = ((A + 2) * x - (A + 3)) * x * x + 1
    far = ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
    return torch.where(x < 1, near, far)
