"""Integer weights for resampling boxes, with which a matrix product computes exact sums.

The weights are those of torch's uint8 kernel on a CPU: of the cubic kernel, stretched where an axis
shrinks, times the largest power of two that keeps them below 2^15, rounded. Each weight is split
into two parts of at most eight significant bits, as many as pixels have. So every product and sum
is an integer that fp32 represents exactly, and TF32 or bfloat16 products are exact too.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BLOCK = 32  # neighbouring outputs that share a window of pixels
A = -0.5  # of the cubic kernel (Keys, 1981), as in Pillow
FIRST_BITS, MOST_BITS = 15, 22  # of a weight, and of the sum of an output's weights
LOW_BITS = 7  # bits in the second part of a weight
MOST_SHRUNK = 256  # largest factor by which a side may shrink with sums that are exact in fp32


@dataclass(frozen=True)
class Axes:
    """Weights for both axes of a batch's boxes: the first axes of all boxes, then the second axes.

    taps: (2 boxes, blocks, window), int64: the pixels of each block's window. weights: (2 boxes,
    blocks, 2 BLOCK, window), fp32: high parts of the outputs' weights, then low parts. bits, half:
    (2 boxes, 1, 1, 1, 1), int32: the weights of an output sum to 2^bits; half is half of that.
    """

    taps: Tensor
    weights: Tensor
    bits: Tensor
    half: Tensor

    def part(self, second: bool, begin: int, end: int, extent: int, size: int
             ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return (taps, (weights, bits, half)) of one axis of the boxes from `begin` to `end`.
        extent, size: the largest among them."""
        shift = second * (len(self.taps) // 2)
        rows, blocks = slice(begin + shift, end + shift), blocks_of(size)
        window = window_of(extent, size)
        weights = self.weights[rows, :blocks, :, :window]
        return self.taps[rows, :blocks, :window], (weights, self.bits[rows], self.half[rows])


def both_axes(table: Tensor, known: np.ndarray) -> Axes:
    """Compute the weights of all boxes. table: (boxes, 4), int64: extents of the first and second
    axis, then their output sizes; known: the same on the CPU."""
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
    weights = parts.new_zeros(len(begin), blocks, 2, BLOCK, window + 1)  # the last is dropped
    parts = parts.unflatten(2, (blocks, BLOCK)).transpose(1, 2)
    weights.scatter_(-1, places.expand(-1, -1, 2, -1, -1), parts)
    taps = torch.minimum(starts + count[:window], extents[..., None] - 1)
    bits = bits[..., None, None].int()
    return Axes(taps, weights[..., :window].flatten(2, 3), bits, 1 << (bits - 1))


def _exact_weights(extents: Tensor, sizes: Tensor, outputs: int, reach: int
                   ) -> tuple[Tensor, Tensor]:
    """Return the first pixel of each output, (rows, outputs), int64, and the weights of `reach`
    pixels from there, (rows, outputs, reach), fp64, for rows of `extents` pixels resized to
    `sizes`. Outputs beyond a row's size repeat its last one.
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
    """Number of blocks of `size` outputs."""
    return -(-size // BLOCK)


def reach_of(extent: int, size: int) -> int:
    """Most pixels that an output's weights cover; extent: of the box."""
    return 2 * math.ceil(2 * max(extent / size, 1)) + 1


def window_of(extent: int, size: int) -> int:
    """Most pixels that a block of outputs covers."""
    return min(extent, int((BLOCK - 1) * extent / size) + 2 + reach_of(extent, size))


def _bits(largest: Tensor) -> Tensor:
    """Most bits, int64, with which the largest weight is below 2^15. largest: (rows, 1, 1)."""
    powers = 1 << torch.arange(1, MOST_BITS + 1, device=largest.device)
    return (largest * powers < (1 << FIRST_BITS) - 0.5).sum(-1, keepdim=True)


def _cubic(x: Tensor) -> Tensor:
    """Evaluate the cubic kernel at distances x >= 0; it is 0 from 2 on."""
    x = x.clamp(max=2)
    near = ((A + 2) * x - (A + 3)) * x * x + 1
    far = ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
    return torch.where(x < 1, near, far)
