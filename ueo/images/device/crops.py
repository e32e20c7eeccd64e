"""Crop and resize boxes of many images of different sizes in batches, on any device.

The result equals, bit for bit, that of torch's uint8 kernel on a CPU (F.interpolate, bicubic,
antialiased), which `resized_crop` uses for one image (ueo/images/transforms.py). Like that kernel,
this resamples one axis, rounds to grey levels and resamples the other axis, with integer weights
(weights.py). Each pass is a batched matrix product of the weights of a block of neighbouring
outputs and the window of pixels that these weights cover.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ueo.images.device.weights import BLOCK, LOW_BITS, Axes, blocks_of, both_axes, window_of
from ueo.images.transforms import columns_first

LARGEST = 1 << 24  # most pixels of windows at a time (0.4 GB), unless one image has more


@dataclass(frozen=True)
class Plan:
    """The boxes of a batch in the order of computation, as groups of similar sizes.

    table: (boxes, 9) int64. Columns: the first pixel; strides of the axis that is resampled first
    and of the other; extents of both; output sizes of both; whether to flip; the row in which the
    box at this position of the batch is computed. All but the last are in the order of computation.
    groups: (begin, end, whether columns come first) of rows of the table.
    """

    table: np.ndarray
    groups: list[tuple[int, int, bool]]


def plan(offsets: np.ndarray, widths: np.ndarray, boxes: np.ndarray, flipped: np.ndarray,
         size: tuple[int, int]) -> Plan:
    """Plan where the pixels of a batch's boxes are and which boxes are computed together.

    offsets, widths: first pixel and width of each image; boxes: (batch, 4), top, left, height,
    width; flipped: (batch,); size: height and width of the result.
    """
    top, left, height, width = boxes.T
    turned = columns_first(height, width, size)
    sides = [np.where(turned, a, b) for a, b in
             ((widths, 1), (1, widths), (height, width), (width, height), size, size[::-1])]
    order = np.lexsort((height * width, turned))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    rows = np.stack([offsets + top * widths + left, *sides, flipped], 1)[order]
    table = np.concatenate([rows, place[:, None]], 1).astype(np.int64)
    return Plan(table, _groups(table, turned[order]))


def _groups(table: np.ndarray, turned: np.ndarray) -> list[tuple[int, int, bool]]:
    groups, begin = [], 0
    for end in range(1, len(table) + 1):
        if end < len(table) and turned[end] == turned[begin]:
            first, second, out = table[begin : end + 1, 3:6].max(0).tolist()
            if (end + 1 - begin) * second * blocks_of(out) * window_of(first, out) <= LARGEST:
                continue
        groups.append((begin, end, bool(turned[begin])))
        begin = end
    return groups


def crop_batch(pixels: Tensor, planned: Plan) -> Tensor:
    """Return the boxes of a plan, resized and flipped: (batch, height, width, 3), uint8.

    pixels: (all pixels, 3), uint8, on the device, image after image, row by row.
    """
    table = torch.from_numpy(planned.table)
    table = (table.pin_memory() if pixels.is_cuda else table).to(pixels.device, non_blocking=True)
    axes = both_axes(table[:, 3:7], planned.table[:, 3:7])
    parts = []
    for begin, end, turned in planned.groups:
        sides = planned.table[begin:end, 3:7].max(0).tolist()
        views = _group(pixels, table, axes, begin, end, sides)
        parts.append(views.transpose(1, 2) if turned else views)
    views = torch.cat(parts) if len(parts) > 1 else parts[0]
    views = torch.where(table[:, 7].bool()[:, None, None, None], views.flip(2), views)
    return views[table[:, 8]]


def _group(pixels: Tensor, table: Tensor, axes: Axes, begin: int, end: int, sides: list[int]
           ) -> Tensor:
    """Return the boxes from `begin` to `end`: (boxes, second size, first size, 3), uint8. sides:
    their largest extents and sizes."""
    first, second, first_size, second_size = sides
    origin, along, across, _, lines = table[begin:end, :5, None, None, None].unbind(1)
    line = torch.minimum(torch.arange(second, device=pixels.device)[:, None], lines - 1)
    taps, weights = axes.part(False, begin, end, first, first_size)
    windows = pixels[origin + across * line + along * taps[:, :, None]].transpose(2, 3)
    half = _resampled(windows, *weights, first_size)  # (boxes, first size, lines, 3)
    taps, weights = axes.part(True, begin, end, second, second_size)
    boxes = torch.arange(end - begin, device=pixels.device)[:, None, None]
    return _resampled(half.transpose(1, 2)[boxes, taps], *weights, second_size)


def _resampled(windows: Tensor, weights: Tensor, bits: Tensor, half: Tensor, size: int) -> Tensor:
    """Return the weighted sums over each window as grey levels: (boxes, size, lines, 3), uint8.

    windows: (boxes, blocks, window, lines, 3), uint8; the others as in `Axes`.
    """
    boxes, blocks, window, lines, _ = windows.shape
    values = windows.to(torch.float32, memory_format=torch.contiguous_format)
    sums = torch.bmm(weights.flatten(0, 1), values.view(boxes * blocks, window, lines * 3))
    high, low = sums.to(torch.int32).view(boxes, blocks, 2, BLOCK, lines, 3).unbind(2)
    levels = torch.add(low, high, alpha=1 << LOW_BITS).add_(half).bitwise_right_shift_(bits)
    levels = levels.clamp_(0, 255).to(torch.uint8)
    return levels.view(boxes, blocks * BLOCK, lines, 3)[:, :size]
