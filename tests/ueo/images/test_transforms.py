"""Transforms of decoded images: the fast path against Pillow, and transforms without one."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode
from yacs.config import CfgNode

from ueo.images.transforms import (
    Normaliser,
    by_pillow,
    by_torch,
    evaluation_transform,
    fast_steps,
    image_steps,
)
from ueo.settings.preprocessing import RESIZE_MODES, Preprocessing

MEAN, STD = [0.48, 0.45, 0.40], [0.26, 0.27, 0.28]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A random picture with structure at all scales, like a photograph."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for size in (1, 2, 4, 8, 16, 32):
        noise = rng.normal(size=(height // size + 1, width // size + 1, 3)) * size**0.8
        total += np.kron(noise, np.ones((size, size, 1)))[:height, :width]
    total -= total.min()
    return (total * 255 / total.max()).astype(np.uint8)


def training(size=224) -> T.Compose:
    return T.Compose([
        T.RandomResizedCrop(size, scale=(0.5, 1.0), interpolation=InterpolationMode.BICUBIC),
        T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(MEAN, STD),
    ])


# wide, tall, small and large, some of which Pillow resizes columns first
SHAPES = [(600, 600), (300, 300), (280, 400), (500, 260), (330, 240), (72, 72), (150, 90)]


@pytest.mark.parametrize("height, width", SHAPES)
def test_the_fast_path_equals_pillow_up_to_one_grey_level(height, width):
    """Less than 1 % of the values differ, and less than 0.01 % by more than one grey level."""
    steps = image_steps(training())
    for seed in range(4):
        pixels = picture(height, width, seed)
        views = []
        for way in (partial(by_pillow, steps), partial(by_torch, *fast_steps(steps))):
            torch.manual_seed(seed)
            views.append(way(pixels).int())
        off = (views[0] - views[1]).abs()
        assert (off > 0).float().mean() < 0.01
        assert (off > 1).float().mean() < 1e-4
        assert views[0].shape == (224, 224, 3)


def test_both_paths_draw_the_same_random_numbers():
    steps, after = image_steps(training(64)), []
    for way in (partial(by_pillow, steps), partial(by_torch, *fast_steps(steps))):
        torch.manual_seed(3)
        for _ in range(5):
            way(picture(80, 90))
        after.append(torch.rand(4))
    assert torch.equal(*after)


def test_normalising_a_batch_equals_torchvision_on_each_image():
    whole = training(32)
    options = SimpleNamespace(TRANSFORMS=["normalize"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    batch, expected = [], []
    for seed in range(5):
        pixels = picture(50, 60, seed)
        torch.manual_seed(seed)
        expected.append(whole(Image.fromarray(pixels)))
        torch.manual_seed(seed)
        batch.append(by_pillow(image_steps(whole), pixels))
    found = Normaliser(options, torch.device("cpu"))(torch.stack(batch))
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)


def test_without_normalize_pixels_lie_between_zero_and_one():
    options = SimpleNamespace(TRANSFORMS=["random_flip"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    pixels = picture(40, 30)
    found = Normaliser(options, torch.device("cpu"))(torch.from_numpy(pixels)[None])
    torch.testing.assert_close(found[0], T.ToTensor()(pixels))


def test_floating_point_images_are_left_as_they_are():
    images = torch.linspace(-1, 1, 96).view(2, 3, 4, 4)
    options = SimpleNamespace(TRANSFORMS=["normalize"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    assert torch.equal(Normaliser(options, torch.device("cpu"))(images), images)


@pytest.mark.parametrize("steps, fast", [
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.BICUBIC)], True),
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.NEAREST)], False),
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.BILINEAR)], False),
    ([T.RandomResizedCrop(8), T.ColorJitter(0.5)], False),
    ([T.Resize(8), T.CenterCrop(8)], False),
])
def test_only_bicubic_random_crops_have_a_fast_path(steps, fast):
    assert (fast_steps(T.Compose(steps)) is not None) == fast


def test_a_transform_that_works_on_tensors_is_not_taken_apart():
    assert image_steps(T.Compose([T.ToTensor(), T.RandomErasing()])) is None
    assert image_steps(T.Compose([T.Resize(4)])) is None
    assert image_steps(lambda image: image) is None


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_test_images_equal_open_clips(mode, interpolation):
    image_transform_v2 = pytest.importorskip("open_clip.transform").image_transform_v2
    PreprocessCfg = pytest.importorskip("open_clip.transform").PreprocessCfg
    asked = {"size": 64, "mean": 0.5, "std": MEAN, "interpolation": interpolation,
             "resize_mode": mode}
    theirs = image_transform_v2(PreprocessCfg(**{**asked, "mean": (0.5,) * 3}), is_train=False)
    keys = Preprocessing.of_open_clip(asked).keys()
    inputs = CfgNode({k.removeprefix("INPUT."): v for k, v in keys.items()})
    inputs.TRANSFORMS, inputs.NO_TRANSFORM = ["normalize"], False
    transform = evaluation_transform(CfgNode({"INPUT": inputs}))
    normalise = Normaliser(inputs, torch.device("cpu"))
    for height, width in [*SHAPES, (64, 64), (40, 50), (20, 700)]:
        image = Image.fromarray(picture(height, width))
        torch.testing.assert_close(transform(image), theirs(image), rtol=0, atol=0)
        ours = normalise(by_pillow(image_steps(transform), np.asarray(image))[None])[0]
        torch.testing.assert_close(ours, theirs(image), rtol=0, atol=1e-6)


def test_values_that_open_clip_leaves_out_default_to_openais():
    assert Preprocessing.of_open_clip({}) == Preprocessing()
    assert Preprocessing.of_open_clip({"interpolation": "random"}).interpolation == "bicubic"
    assert Preprocessing.of_open_clip({"size": [32, 48], "std": 1.0}).size == (32, 48)
