"""Items that a trainer sees: each image's own augmentation, drawn from the epoch and its place."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

from modern_dassl.loading import random_state_of
from ueo.images.decoding import read_image
from ueo.images.items import Images


@pytest.fixture
def twins(tmp_path):
    """Eight items of one picture without two equal places: views differ by their crops alone."""
    ramp = np.add.outer(3 * np.arange(60), 2 * np.arange(50))[..., None] % 251
    Image.fromarray((ramp * [1, 0.5, 0.25]).astype(np.uint8)).save(tmp_path / "a.png")
    item = SimpleNamespace(impath=str(tmp_path / "a.png"), label=3, domain=0)
    return [item] * 8


def transform(mode=InterpolationMode.BICUBIC):
    return T.Compose([T.RandomResizedCrop(32, scale=(0.5, 1), interpolation=mode), T.ToTensor()])


def views(images: Images, seed: int) -> dict[int, torch.Tensor]:
    """{position in the list: pixels} of an epoch."""
    images.seed.fill_(seed)
    return {item["index"]: item["img"] for item in (images[i] for i in range(len(images)))}


@pytest.mark.parametrize("plain", [False, True])
def test_each_image_of_an_epoch_has_a_crop_of_its_own(twins, plain):
    images = Images(twins, transform(), plain=plain)
    first = views(images, 7)
    for i in range(8):
        assert not any(torch.equal(first[i], first[j]) for j in range(i))
    assert all(torch.equal(first[i], again) for i, again in views(images, 7).items())
    later = views(images, 1000)
    assert not any(torch.equal(first[i], later[i]) for i in first)


def test_the_plain_transform_is_torchvisions_own(build):
    """As released; the fast way is off by a grey level here and there."""
    found = {}
    for plain in (True, False):
        images = build("DATASET.PLAIN_TRANSFORM", str(plain)).train_loader_x.dataset
        steps = T.Compose(images.transform.transforms[:-2])
        images.seed.fill_(3)
        off = []
        for i in range(len(images)):
            with random_state_of(3 + i):
                expected = np.asarray(steps(read_image(images._items[i].impath)))
            off.append(np.abs(images[i]["img"].numpy().astype(int) - expected).max())
        found[plain] = max(off)
    assert found[True] == 0 < found[False] <= 2


def test_a_selection_of_images_keeps_positions_and_crops(twins):
    images = Images(twins, transform())
    whole, part = views(images, 7), views(images.only([6, 1, 3]), 7)
    assert list(part) == [6, 1, 3]
    assert all(torch.equal(part[i], whole[i]) for i in part)
