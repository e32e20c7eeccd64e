"""RandAugment and AutoAugment: which operations, how strong, from which random numbers."""

import random

import numpy as np
import pytest
import torch
from dassl.data.transforms import build_transform, randaugment
from dassl.data.transforms.autoaugment import (
    OPERATIONS,
    CIFAR10Policy,
    ImageNetPolicy,
    SubPolicy,
    SVHNPolicy,
)
from dassl.data.transforms.randaugment import RandAugment, RandAugment2, RandAugmentFixMatch
from dassl.utils import ConfigValueError
from PIL import Image, ImageEnhance, ImageOps

ALL = (ImageNetPolicy, CIFAR10Policy, SVHNPolicy, RandAugment, RandAugment2, RandAugmentFixMatch)


@pytest.fixture
def image():
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3))
    return Image.fromarray(pixels.astype("uint8"))


def same(one, other):
    return np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("kind", ALL)
def test_python_random_decides(kind, image):
    pictures = []
    for seed in (*range(40), *range(40)):
        random.seed(seed)
        np.random.seed(len(pictures))  # of no influence
        pictures.append(kind()(image))
    assert all(p.size == image.size and p.mode == "RGB" for p in pictures)
    assert all(same(a, b) for a, b in zip(pictures[:40], pictures[40:], strict=True))
    assert len({p.tobytes() for p in pictures}) > 15


@pytest.mark.parametrize("kind, count", [
    (RandAugment, 16), (RandAugment2, 15), (RandAugmentFixMatch, 14),
])  # fmt: skip
def test_number_of_operations(kind, count, image):
    assert len(kind().augment_list) == count
    for operation, low, high in kind().augment_list:
        for value in (low, high):
            assert operation(image, value).size == image.size


def test_strength_of_randaugment(image):
    def only(index, m):
        augment = RandAugment(1, m)
        augment.augment_list = [augment.augment_list[index]]
        return augment(image)

    assert same(only(4, 15), ImageOps.posterize(image, 6))  # halfway from 4 to 8 bits
    assert same(only(5, 30), image)  # solarize at 256
    assert same(only(7, 15), image)  # colour times 1
    assert same(only(7, 0), ImageEnhance.Color(image).enhance(0.1))
    shifted = np.asarray(only(14, 3))  # by 10 pixels, black comes in
    source = np.asarray(image)
    left, right = source[:, 10:], source[:, :-10]
    assert same(shifted[:, :-10], left) or same(shifted[:, 10:], right)
    assert (shifted == 0).all((0, 2)).sum() == 10


def test_solarize_add_and_patch(image):
    solarize_add, patch = (RandAugment().augment_list[i][0] for i in (6, 13))
    source = np.asarray(image).astype(int)
    brighter = np.minimum(source + 50, 255)
    expected = np.where(brighter < 128, brighter, 255 - brighter)
    assert same(solarize_add(image, 50), expected)
    cut = (np.asarray(patch(image, 8)) == (125, 123, 114)).all(2)
    assert 0 < cut.sum() <= 81


def test_randaugment2_leaves_out(image):
    assert same(RandAugment2(n=9, p=-1)(image), image)


def test_policies(image):
    rotated = OPERATIONS["Rotate"](image, 1, (0, 0, 0))
    assert rotated.getpixel((0, 0)) == (128, 128, 128)
    moved = np.asarray(OPERATIONS["TranslateX"](image, 1, (1, 2, 3)))
    assert (moved == (1, 2, 3)).all((0, 2)).sum() in (13, 14)  # 150 / 331 of 30
    assert same(OPERATIONS["Posterize"](image, 1, None), ImageOps.posterize(image, 4))
    assert same(OPERATIONS["Solarize"](image, 0, None), image)
    used = {name for kind in ALL[:3] for pair in kind().policies for _, name, _ in pair.steps}
    assert used <= set(OPERATIONS)


def test_mistakes(make_cfg):
    with pytest.raises(ConfigValueError, match="between 0 and 30, but is 31"):
        RandAugment(2, 31)
    cfg = make_cfg("INPUT.TRANSFORMS", ("randaugment2",), "INPUT.RANDAUGMENT_N", -1)
    with pytest.raises(ConfigValueError, match="RANDAUGMENT_N must not be negative"):
        build_transform(cfg)


def test_names_in_a_configuration(make_cfg):
    names = ("randaugment2", "randaugment_fixmatch", "randaugment", "svhn_policy")
    cfg = make_cfg("INPUT.TRANSFORMS", names, "INPUT.RANDAUGMENT_N", 3, "INPUT.RANDAUGMENT_M", 7)
    steps = build_transform(cfg).transforms
    kinds = [type(step).__name__ for step in steps[1:-1]]
    assert kinds == ["SVHNPolicy", "RandAugment", "RandAugmentFixMatch", "RandAugment2"]
    assert [step.n for step in steps[2:-1]] == [3, 3, 3] and steps[2].m == 7


def test_center_crop_leaves_training_alone(make_cfg):
    steps = build_transform(make_cfg("INPUT.TRANSFORMS", ("center_crop",))).transforms
    assert [type(step).__name__ for step in steps] == ["Resize", "ToTensor"]
    assert list(steps[0].size) == [8, 8]


def test_operations_that_no_list_holds(image):
    assert same(randaugment.Flip(image, 0), ImageOps.mirror(image))
    assert same(randaugment.SamplePairing([np.asarray(image)])(image, 0.3), image)
    cut = np.asarray(randaugment.Cutout(image, 0.2))
    assert (cut == (125, 123, 114)).all(2).sum() in range(1, 50)  # 6 x 6, inclusive ends
    lit = randaugment.Lighting(0.1, [0.2, 0.02, 0.005], np.eye(3).tolist())(torch.zeros(3, 4, 4))
    assert (lit.flatten(1) == lit[:, :1, 0]).all() and lit.abs().sum() > 0
    inverted = SubPolicy(1.0, "invert", 0, 0.0, "shearX", 9)(image)
    assert same(inverted, ImageOps.invert(image))
