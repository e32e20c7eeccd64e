"""Views of decoded images: the fast way against Pillow, and what has no fast way."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

from ueo.images.transforms import Normaliser, fast_steps, fast_way, on_images, plain_way

MEAN, STD = [0.48, 0.45, 0.40], [0.26, 0.27, 0.28]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Structure of all sizes, as photographs have it."""
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


# wide, tall, small, large; those whose columns Pillow takes first among them
SHAPES = [(600, 600), (300, 300), (280, 400), (500, 260), (330, 240), (72, 72), (150, 90)]


@pytest.mark.parametrize("height, width", SHAPES)
def test_the_fast_way_is_pillows_to_one_grey_level(height, width):
    steps = on_images(training())
    for seed in range(4):
        pixels = picture(height, width, seed)
        views = []
        for way in (plain_way(steps), fast_way(*fast_steps(steps))):
            torch.manual_seed(seed)
            views.append(way(pixels).int())
        off = (views[0] - views[1]).abs()
        assert (off > 0).float().mean() < 0.01
        assert (off > 1).float().mean() < 1e-4
        assert views[0].shape == (224, 224, 3)


def test_both_ways_draw_the_same_numbers():
    steps, after = on_images(training(64)), []
    for way in (plain_way(steps), fast_way(*fast_steps(steps))):
        torch.manual_seed(3)
        for _ in range(5):
            way(picture(80, 90))
        after.append(torch.rand(4))
    assert torch.equal(*after)


def test_normalising_a_batch_is_what_torchvision_does_to_each_image():
    whole = training(32)
    options = SimpleNamespace(TRANSFORMS=["normalize"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    batch, expected = [], []
    for seed in range(5):
        pixels = picture(50, 60, seed)
        torch.manual_seed(seed)
        expected.append(whole(Image.fromarray(pixels)))
        torch.manual_seed(seed)
        batch.append(plain_way(on_images(whole))(pixels))
    found = Normaliser(options, torch.device("cpu"))(torch.stack(batch))
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)


def test_without_normalize_pixels_lie_between_zero_and_one():
    options = SimpleNamespace(TRANSFORMS=["random_flip"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    pixels = picture(40, 30)
    found = Normaliser(options, torch.device("cpu"))(torch.from_numpy(pixels)[None])
    torch.testing.assert_close(found[0], T.ToTensor()(pixels))


def test_floating_point_images_are_left_as_they_are():
    images = torch.randn(2, 3, 4, 4)
    options = SimpleNamespace(TRANSFORMS=["normalize"], PIXEL_MEAN=MEAN, PIXEL_STD=STD)
    assert torch.equal(Normaliser(options, torch.device("cpu"))(images), images)


@pytest.mark.parametrize("steps, fast", [
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.BICUBIC)], True),
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.NEAREST)], False),
    ([T.RandomResizedCrop(8, interpolation=InterpolationMode.BILINEAR)], False),
    ([T.RandomResizedCrop(8), T.ColorJitter(0.5)], False),
    ([T.Resize(8), T.CenterCrop(8)], False),
])
def test_other_augmentations_are_torchvisions_own(steps, fast):
    assert (fast_steps(T.Compose(steps)) is not None) == fast


def test_a_transform_that_works_on_tensors_is_not_taken_apart():
    assert on_images(T.Compose([T.ToTensor(), T.RandomErasing()])) is None
    assert on_images(T.Compose([T.Resize(4)])) is None
    assert on_images(lambda image: image) is None
