"""Crops in batches: the same pixels as one by one, for images of all sizes."""

import numpy as np
import pytest
import torch
from PIL import Image

from ueo.images.device import crops, weights
from ueo.images.transforms import COLUMNS_FIRST, resized_crop

TALL = (300, 200)  # small and tall, so that Pillow resizes columns first


def pictures(shapes: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def cropped(images, boxes, flipped, size) -> torch.Tensor:
    """Crops that are computed as one batch, (images, *size, 3)."""
    sides = np.array([image.shape[:2] for image in images])
    offsets = np.cumsum([0, *sides.prod(1)])[:-1]
    pixels = torch.from_numpy(np.concatenate([image.reshape(-1, 3) for image in images]))
    planned = crops.plan(offsets, sides[:, 1], np.array(boxes), np.array(flipped), size)
    return crops.crop_batch(pixels, planned)


def one_by_one(images, boxes, flipped, size) -> torch.Tensor:
    views = [resized_crop(image, box, size) for image, box in zip(images, boxes)]
    return torch.stack([v.flip(1) if flip else v for v, flip in zip(views, flipped)])


def random_boxes(shapes, seed: int) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of each image; every third box is the whole image."""
    rng, boxes = np.random.default_rng(seed), []
    for i, (height, width) in enumerate(shapes):
        h, w = (height, width) if i % 3 == 0 else rng.integers(1, (height + 1, width + 1)).tolist()
        top, left = rng.integers(0, (height - h + 1, width - w + 1)).tolist()
        boxes.append((top, left, h, w))
    return boxes


@pytest.mark.parametrize("size", [(224, 224), (64, 64), (32, 32), (37, 100), (100, 37), (1, 1)])
@pytest.mark.parametrize("largest", [6, 60, 330])
def test_crops_are_those_of_the_cpu_bit_for_bit(largest, size):
    rng = np.random.default_rng(largest)
    shapes = [tuple(shape) for shape in rng.integers(1, largest + 1, (12, 2)).tolist()]
    boxes, flipped = random_boxes(shapes, largest), rng.random(12) < 0.5
    found = cropped(pictures(shapes), boxes, flipped, size)
    assert torch.equal(found, one_by_one(pictures(shapes), boxes, flipped, size))


def test_one_batch_may_hold_all_shapes():
    """1 x 1, single rows and columns, tall images whose columns are resized first, and one so large
    that it is a group of its own."""
    shapes = [(1, 1), (900, 1), (1, 900), TALL, (2600, 1900), (5, 5), (200, 300), (224, 224), TALL]
    boxes = [(0, 0, *shape) for shape in shapes]
    flipped = [i % 2 == 0 for i in range(len(shapes))]
    images = pictures(shapes)
    found = cropped(images, boxes, flipped, (224, 224))
    assert torch.equal(found, one_by_one(images, boxes, flipped, (224, 224)))


@pytest.mark.skipif(not COLUMNS_FIRST, reason="Pillow before 13 resizes rows first, always")
def test_tall_crops_equal_pillows_up_to_one_grey_level():
    (image,), box = pictures([TALL]), (3, 5, 290, 190)
    top, left, height, width = box
    part = image[top : top + height, left : left + width]
    pillows = np.asarray(Image.fromarray(part).resize((224, 224), Image.Resampling.BICUBIC))
    off = (cropped([image], [box], [False], (224, 224))[0].int() - torch.tensor(pillows)).abs()
    assert (off > 0).float().mean() < 0.01 and off.max() <= 1


def planned(shapes, size=(224, 224)) -> crops.Plan:
    sides = np.array(shapes)
    boxes = np.array([(0, 0, *shape) for shape in shapes])
    return crops.plan(np.zeros(len(sides), int), sides[:, 1], boxes, np.zeros(len(sides), bool),
                      size)


def test_groups_of_crops_keep_to_the_memory_limit():
    """Images of similar sizes share a group as long as they fit; a huge image is alone."""
    plan = planned([(600, 600)] * 64 + [(6000, 4000)] * 2 + [(30, 30)] * 10 + [TALL] * 3)
    sides, begins = plan.table[:, 3:5], [begin for begin, _, _ in plan.groups]
    assert begins == [0, *(end for _, end, _ in plan.groups)][:-1]
    assert plan.groups[-1] == (76 if COLUMNS_FIRST else 78, 79, COLUMNS_FIRST)
    for begin, end, _ in plan.groups:
        held = (end - begin) * sides[begin:end].max(0).prod()
        assert held <= crops.LARGEST or end - begin == 1
    assert len(plan.groups) <= 6


def test_numbers_are_exact_in_fp32_whatever_the_scale():
    """Each part of a weight has at most 8 significant bits, and no sum needs more than 24."""
    sides = [(1, 224), (100, 224), (224, 224), (600, 224), (7000, 224), (weights.MOST_SHRUNK, 1),
             (32 * weights.MOST_SHRUNK, 32)]
    for extent, size in sides:
        row = np.array([[extent, extent, size, size]])
        axes = weights.both_axes(torch.from_numpy(row), row)
        assert axes.weights.abs().max() <= 256 and (axes.weights == axes.weights.round()).all()
        assert 255 * axes.weights.abs().sum(-1).max() < 2**24
        high, low = axes.weights.unflatten(2, (2, weights.BLOCK)).unbind(2)
        sums = (128 * high + low).sum(-1)
        assert (sums - 2 * axes.half[0].item()).abs().max() <= weights.reach_of(extent, size) / 2
