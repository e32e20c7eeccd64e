"""Boxes and flips that are drawn for many images at once equal torchvision's, bit for bit."""

import numpy as np
import pytest
import torch
from torchvision import transforms as T

from modern_dassl.loading import torch_state_of
from ueo.images.device import draws


def sizes_of(images: int) -> np.ndarray:
    """Height and width of images, tiny, narrow and huge ones among them."""
    sizes = np.random.default_rng(0).integers(1, 400, (images, 2))
    sizes[:30], sizes[30:60], sizes[60:90] = 1, (6000, 4000), (3, 900)
    return sizes


def one_by_one(crop, flips, sizes, seeds) -> list[tuple]:
    rows = []
    for size, seed in zip(sizes.tolist(), seeds.tolist()):
        with torch_state_of(seed):
            box = crop.get_params(torch.empty(3, *size, device="meta"), crop.scale, crop.ratio)
            rows.append((*box, any(bool(torch.rand(1) < p) for p in flips)))
    return rows


@pytest.mark.parametrize("flips", [(), (0.5,), (0.0,), (1.0,)])
@pytest.mark.parametrize("scale, ratio", [
    ((0.5, 1.0), (3 / 4, 4 / 3)), ((0.08, 1.0), (3 / 4, 4 / 3)), ((0.9, 1.0), (0.2, 0.3)),
    ((1.0, 1.0), (1.0, 1.0)),  # the last two mostly fall back to the central box
])
def test_draws_are_torchvisions_own(scale, ratio, flips):
    crop, sizes = T.RandomResizedCrop(8, scale=scale, ratio=ratio), sizes_of(300)
    seeds = np.random.default_rng(1).integers(0, 2**62, 300)
    boxes, flipped = draws.draw(crop, flips, sizes, seeds)
    found = [(*box, flip) for box, flip in zip(boxes.tolist(), flipped.tolist())]
    assert found == one_by_one(crop, flips, sizes, seeds)


def test_draws_leave_the_global_random_state_alone():
    before = torch.get_rng_state()
    draws.draw(T.RandomResizedCrop(8), (0.5,), sizes_of(100), np.arange(100))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_change_of_torchs_generator_is_noticed(monkeypatch):
    """If torch's generator ever changes, boxes and flips still equal torchvision's."""
    crop, sizes, seeds = T.RandomResizedCrop(8), sizes_of(190)[90:], np.arange(100)
    right = draws.draw(crop, (0.5,), sizes, seeds)
    words = draws._first_words
    monkeypatch.setattr(draws, "_first_words", lambda seeds: words(seeds + 1))
    again = draws.draw(crop, (0.5,), sizes, seeds)
    assert all(np.array_equal(a, b) for a, b in zip(right, again))


def test_no_images_give_no_boxes():
    boxes, flipped = draws.draw(T.RandomResizedCrop(8), (0.5,), np.zeros((0, 2), int), np.arange(0))
    assert boxes.shape == (0, 4) and flipped.shape == (0,)
