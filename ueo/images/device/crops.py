"""Boxes of many images of different sizes, cut and resized in batches, on any device.

The result is, bit for bit, that of torch's uint8 kernel on a CPU (F.interpolate, bicubic,
antialiased), which `resized_crop` uses for one image (ueo/images/transforms.py). Like that kernel
this resamples one axis, rounds to grey levels and resamples the other, with weights of whole
numbers, whose sum is a power of two. A pass is a batched matrix product: the weights are cut into
two parts of at most eight significant bits, as pixels have, so that each product and each sum is a
whole number that fp32 holds exactly, and TF32 or bfloat16 products are as exact.

A weight reaches a few pixels only. Outputs are therefore computed in blocks of neighbours, from the
window of pixels that a block reaches.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ueo.images.transforms import columns_first

BLOCK = 32  # neighbouring outputs that share a window of pixels
LARGEST = 1 << 24  # pixels of windows that are held at a time, unless one image has more: 0.4 GB
A = -0.5  # of the cubic kernel (Keys, 1981), as in Pillow
FIRST_BITS, MOST_BITS = 15, 22  # of a weight, and of the sum of an output's weights
LOW_BITS = 7  # of a weight, in its second part
MOST_SHRUNK = 256  # times that a side may shrink: sums of more pixels would not be exact in fp32


@dataclass(frozen=True)
class Plan:
    """A batch's boxes in the order in which they are computed, as groups of similar sizes.

    table: (boxes, 7) int64: the first pixel; steps along the axis that is resampled first and along
    the other; extents of both; whether to flip; the box's place in the order.
    groups: (begin, end, whether columns come first) of rows of the table.
    """

    table: np.ndarray
    groups: list[tuple[int, int, bool]]


def plan(offsets: np.ndarray, widths: np.ndarray, boxes: np.ndarray, flipped: np.ndarray,
         size: tuple[int, int]) -> Plan:
    """Where the pixels of a batch's boxes are, and which are computed together.

    offsets: first pixel of each image; widths: of each image; boxes: (batch, 4), top, left, height,
    width; flipped: (batch,); size: height and width of the result.
    """
    top, left, height, width = boxes.T
    begin, one = offsets + top * widths + left, np.ones_like(widths)
    turned = columns_first(height, width, size)
    sides = [np.where(turned, a, b) for a, b in
             ((one * widths, one), (one, widths), (height, width), (width, height))]
    rows = np.stack([begin, *sides, flipped, np.zeros_like(begin)], 1)
    order = np.lexsort((height * width, turned))
    rows[order, 6] = np.arange(len(order))
    table, turned = rows[order], turned[order]
    return Plan(np.concatenate([table[:, :6], rows[:, 6:]], 1), _groups(table, turned, size))


def _groups(table: np.ndarray, turned: np.ndarray, size: tuple[int, int]
            ) -> list[tuple[int, int, bool]]:
    groups, begin = [], 0
    for end in range(1, len(table) + 1):
        if end < len(table) and turned[end] == turned[begin]:
            first, second = table[begin : end + 1, 3:5].max(0).tolist()
            out = size[0] if turned[begin] else size[1]
            window = -(-out // BLOCK) * _window(first, out)
            if (end + 1 - begin) * second * window <= LARGEST:
                continue
        groups.append((begin, end, bool(turned[begin])))
        begin = end
    return groups


def crop_batch(pixels: Tensor, planned: Plan, size: tuple[int, int]) -> Tensor:
    """(batch, *size, 3), uint8: the boxes of a plan, resized and flipped.

    pixels: (all pixels, 3), uint8, on the device, images one after the other, row by row.
    """
    table = torch.from_numpy(planned.table)
    if pixels.is_cuda:
        table = table.pin_memory()
    table = table.to(pixels.device, non_blocking=True)
    parts = []
    for begin, end, turned in planned.groups:
        sides = planned.table[begin:end, 3:5].max(0).tolist()
        parts.append(_group(pixels, table[begin:end], sides, size, turned))
    views = torch.cat(parts) if len(parts) > 1 else parts[0]
    views = torch.where(table[:, 5].bool()[:, None, None, None], views.flip(2), views)
    return views[table[:, 6]]


def _group(pixels: Tensor, table: Tensor, sides: list[int], size: tuple[int, int], turned: bool
           ) -> Tensor:
    """(boxes, *size, 3), uint8. sides: the largest extents, of the first and the second axis."""
    begin, along, across, first, second = (column[:, None, None, None]
                                           for column in table[:, :5].unbind(1))
    first_size, second_size = size if turned else size[::-1]
    starts, weights, bits = _weights(table[:, 3], sides[0], first_size)
    lines = torch.arange(sides[1], device=pixels.device)[:, None]
    taps = starts[..., None] + torch.arange(weights.shape[-1], device=pixels.device)
    taps = torch.minimum(taps[:, :, None], first - 1)  # beyond the edge weights are 0
    where = begin + across * torch.minimum(lines, second - 1) + along * taps
    windows = pixels[where].transpose(2, 3)  # (boxes, blocks, window, lines, 3)
    half = _resampled(windows, weights, bits, first_size)  # (boxes, first axis, lines, 3)
    starts, weights, bits = _weights(table[:, 4], sides[1], second_size)
    taps = starts[..., None] + torch.arange(weights.shape[-1], device=pixels.device)
    taps = torch.minimum(taps, second[..., 0] - 1)
    boxes = torch.arange(len(table), device=pixels.device)[:, None, None]
    whole = _resampled(half.transpose(1, 2)[boxes, taps], weights, bits, second_size)
    return whole.transpose(1, 2) if turned else whole


def _resampled(windows: Tensor, weights: Tensor, bits: Tensor, size: int) -> Tensor:
    """(boxes, size, lines, 3), uint8: grey levels of the weighted sums over each window.

    windows: (boxes, blocks, window, lines, 3), uint8; weights: (boxes, blocks, 2 BLOCK, window):
    the high and the low parts of the weights; bits: (boxes,), of the sum of an output's weights.
    """
    boxes, blocks, window, lines, _ = windows.shape
    values = windows.to(torch.float32, memory_format=torch.contiguous_format)
    sums = torch.bmm(weights.flatten(0, 1), values.view(boxes * blocks, window, lines * 3))
    high, low = sums.to(torch.int32).view(boxes, blocks, 2, BLOCK, lines, 3).unbind(2)
    bits = bits.to(torch.int32)[:, None, None, None, None]
    levels = torch.add(low, high, alpha=1 << LOW_BITS) + (1 << (bits - 1)) >> bits
    levels = levels.clamp_(0, 255).to(torch.uint8)
    return levels.view(boxes, blocks * BLOCK, lines, 3)[:, :size]


def _reach(extent: int, size: int) -> int:
    """The most pixels that a weight reaches; extent: of the box."""
    return 2 * math.ceil(2 * max(extent / size, 1)) + 1


def _window(extent: int, size: int) -> int:
    """The most pixels that a block of outputs reaches."""
    return min(extent, int((BLOCK - 1) * extent / size) + 2 + _reach(extent, size))


def _weights(extents: Tensor, largest: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """(first pixel of each block's window (boxes, blocks), weights as `_resampled` takes them, bits
    (boxes,)) for axes of `extents` (boxes,) pixels, at most `largest`, that become `size`."""
    blocks, window = -(-size // BLOCK), _window(largest, size)
    scale = extents.double()[:, None] / size
    stretch = scale.clamp(min=1)
    outputs = torch.arange(blocks * BLOCK, device=extents.device)
    centre = scale * (outputs + 0.5)
    begin = (centre - 2 * stretch + 0.5).clamp(min=0).long()  # (boxes, outputs)
    taps = begin[..., None] + torch.arange(_reach(largest, size), device=extents.device)
    offsets = (taps - centre[..., None] + 0.5) * (1 / stretch)[..., None]
    used = (taps < extents[:, None, None]) & (outputs < size)[:, None]
    exact = torch.where(used, _cubic(offsets.abs()), 0.0)
    exact = exact / exact.sum(-1, keepdim=True).where((outputs < size)[:, None], 1.0)
    bits = _bits(exact.amax((1, 2)))
    scaled = exact * (1 << bits)[:, None, None]
    whole = torch.where(scaled < 0, scaled - 0.5, scaled + 0.5).long()
    starts = begin[:, ::BLOCK]
    places = (taps - starts.repeat_interleave(BLOCK, 1)[..., None]).clamp(max=window)
    dense = torch.zeros(*begin.shape, window + 1, dtype=torch.int64, device=extents.device)
    dense = dense.scatter_(-1, places, whole)[..., :window].unflatten(1, (blocks, BLOCK))
    high = dense + (1 << LOW_BITS - 1) >> LOW_BITS
    parts = torch.stack([high, dense - (high << LOW_BITS)], 2)
    return starts, parts.flatten(2, 3).float(), bits


def _bits(largest: Tensor) -> Tensor:
    """(boxes,), int64: the most bits with which the largest weight stays below 2^15."""
    powers = 2.0 ** torch.arange(1, MOST_BITS + 1, device=largest.device, dtype=torch.float64)
    return ((0.5 + largest[:, None] * powers).floor() < 1 << FIRST_BITS).sum(1)


def _cubic(x: Tensor) -> Tensor:
    """The cubic kernel at distances x >= 0."""
    near = ((A + 2) * x - (A + 3)) * x * x + 1
    far = ((A * x - 5 * A) * x + 8 * A) * x - 4 * A
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
