"""Images that a trainer sees. An augmentation depends on the epoch and the image's position."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

from modern_dassl.loading import random_state_of
from ueo.errors import DataError
from ueo.images import decoding
from ueo.images.decoding import read_image
from ueo.images.items import Images


@pytest.fixture
def twins(tmp_path):
    """Eight items of one picture in which no two regions are equal: different crops differ."""
    ramp = np.add.outer(3 * np.arange(60), 2 * np.arange(50))[..., None] % 251
    Image.fromarray((ramp * [1, 0.5, 0.25]).astype(np.uint8)).save(tmp_path / "a.png")
    item = SimpleNamespace(impath=str(tmp_path / "a.png"), label=3, domain=0)
    return [item] * 8


def transform(mode=InterpolationMode.BICUBIC):
    return T.Compose([T.RandomResizedCrop(32, scale=(0.5, 1), interpolation=mode), T.ToTensor()])


def views(images: Images, seed: int) -> dict[int, torch.Tensor]:
    """position in the list -> pixels, for one epoch."""
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


def test_the_plain_transform_equals_torchvisions(build):
    """The plain transform is exact. The fast path differs by at most two grey levels."""
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


@pytest.mark.parametrize("gigabytes, left_out", [("0.0003", 5), ("0.00017", 28), ("0.001", None)])
def test_images_that_the_store_cannot_keep_are_counted_in_one_line(build, capsys, gigabytes,
                                                                   left_out):
    """The data set has 57 images of 40 x 48 pixels, 328 kB when decoded."""
    build("DATASET.STORE_GB", gigabytes, "DATALOADER.NUM_WORKERS", "3")
    said = [line for line in capsys.readouterr().out.splitlines() if "do not fit" in line]
    assert len(said) == (left_out is not None)
    for line in said:
        assert line.startswith(f"About {left_out} of 57 images do not fit DATASET.STORE_GB (")
        assert "decoded whenever they are needed, by 3 processes (DATALOADER.NUM_WORKERS)" in line


def test_the_size_of_an_image_is_known_without_decoding_it(tmp_path, monkeypatch):
    pixels = np.zeros((7, 5, 3), np.uint8)
    for suffix in ("png", "jpg", "bmp", "gif", "tif"):
        Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
        assert decoding.image_size(tmp_path / f"a.{suffix}") == (7, 5)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:20])
    for name, why in (("b.jpg", "no image that Pillow"), ("c.jpg", "no such image")):
        with pytest.raises(DataError, match=why):
            decoding.image_size(tmp_path / name)
    monkeypatch.setattr(decoding, "read_image", lambda path: pytest.fail("it was decoded"))
    assert decoding.image_size(tmp_path / "a.jpg") == (7, 5)
