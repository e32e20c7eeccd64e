"""Transform decoded pixels into an encoder's input, as uint8; batches are normalised later.

The plain way is torchvision's transform of a Pillow image. RandomResizedCrop with bicubic
interpolation, alone or with RandomHorizontalFlip, also has a fast way: the same random draws,
cropped and resized by torch's uint8 kernel. It differs from Pillow's by one grey level on less than
1 % of the values, by two on one in a million. Bilinear differs on 2 %, so Pillow does it. Images on
a device are cropped there with the same result (ueo/images/device/crops.py).
"""

from collections.abc import Callable

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from dassl.data.transforms import build_transform
from PIL import Image
from torch import Tensor
from torchvision import transforms as T
from torchvision.transforms.functional import InterpolationMode, resize

from ueo.settings.config import setting_of

# from this version on, Pillow resizes the columns first if the height shrinks by more than twice as
# much as the width; every pass rounds, so the order matters
COLUMNS_FIRST = int(PIL.__version__.split(".")[0]) >= 13


def evaluation_transform(cfg) -> T.Compose | None:
    """Return Dassl's evaluation transform with INPUT.RESIZE_MODE; None with INPUT.NO_TRANSFORM."""
    transform, mode = build_transform(cfg, is_train=False), setting_of(cfg, "RESIZE_MODE", "INPUT")
    if transform is None or mode in (None, "shortest"):
        return transform
    shorter, crop, *rest = transform.transforms
    whole = {"squash": T.Resize, "longest": ResizeAndPad}[mode]
    return T.Compose([whole(list(crop.size), interpolation=shorter.interpolation), *rest])


class ResizeAndPad:
    """Resize a Pillow image into `size`, (height, width), at its aspect ratio, and pad with black.
    """

    def __init__(self, size: list[int], interpolation: InterpolationMode):
        self.size, self.interpolation = size, interpolation

    def __call__(self, image: Image.Image) -> Image.Image:
        sides = image.size[::-1]
        ratio = max(side / whole for side, whole in zip(sides, self.size))
        within = [max(round(side / ratio), 1) for side in sides]
        return T.CenterCrop(self.size)(resize(image, within, self.interpolation))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation})"


def image_steps(transform: Callable) -> T.Compose | None:
    """Return the steps before ToTensor if at most Normalize follows it, else None."""
    steps = list(getattr(transform, "transforms", []))
    kinds = [type(step) for step in steps]
    if T.ToTensor not in kinds:
        return None
    at = kinds.index(T.ToTensor)
    return T.Compose(steps[:at]) if set(kinds[at + 1 :]) <= {T.Normalize} else None


def fast_steps(steps: T.Compose) -> tuple[T.RandomResizedCrop, list] | None:
    """Return (the crop, the flips) if the steps have a fast way, else None."""
    kinds = [type(step) for step in steps.transforms]
    if kinds not in ([T.RandomResizedCrop], [T.RandomResizedCrop, T.RandomHorizontalFlip]):
        return None
    crop, *flips = steps.transforms
    if crop.interpolation != InterpolationMode.BICUBIC or not crop.antialias:
        return None
    return crop, flips


def by_torch(crop: T.RandomResizedCrop, flips: list, pixels: np.ndarray) -> Tensor:
    """Apply the fast way of these steps, from and to (height, width, 3) uint8."""
    shape = torch.empty(3, *pixels.shape[:2], device="meta")
    box = crop.get_params(shape, crop.scale, crop.ratio)
    resized = resized_crop(pixels, box, tuple(crop.size))
    for flip in flips:
        if torch.rand(1) < flip.p:
            resized = resized.flip(1)
    return resized


def resized_crop(
    pixels: np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int]
) -> Tensor:
    """Crop the box (top, left, height, width) from pixels, (height, width, 3), uint8, and resize it
    to (*size, 3), uint8."""
    top, left, height, width = box
    crop = pixels[top : top + height, left : left + width]
    turned = bool(columns_first(height, width, size))
    if turned:  # torch's kernel resizes the rows first: transpose the image
        crop, size = crop.transpose(1, 0, 2), size[::-1]
    images = torch.from_numpy(np.array(crop)).permute(2, 0, 1)[None]  # np.array: writable
    images = F.interpolate(images, size, mode="bicubic", antialias=True)
    if turned:
        images = images.transpose(2, 3)
    return images[0].permute(1, 2, 0)


def columns_first(height, width, size: tuple[int, int]):
    """Whether Pillow resizes the columns first; height, width: numbers or arrays."""
    shrinks = height - size[0]
    return COLUMNS_FIRST & (shrinks > 0) & (shrinks > 2 * (width - size[1]))


def by_pillow(steps: T.Compose, pixels: np.ndarray) -> Tensor:
    """Apply torchvision's own steps to a Pillow image, from and to (height, width, 3) uint8."""
    return torch.from_numpy(np.array(steps(Image.fromarray(pixels))))


class Normaliser:
    """Move a batch of images to the device and normalise it, unless it is floating point and hence
    normalised already."""

    def __init__(self, options, device: torch.device):
        """options: cfg.INPUT, or anything with its PIXEL_MEAN, PIXEL_STD and TRANSFORMS."""
        used = "normalize" in options.TRANSFORMS
        mean, std = (options.PIXEL_MEAN, options.PIXEL_STD) if used else ([0.0] * 3, [1.0] * 3)
        self.mean, self.std = (torch.tensor(list(v), device=device) for v in (mean, std))

    def __call__(self, images: Tensor) -> Tensor:
        images = images.to(self.mean.device, non_blocking=True)
        return images if images.is_floating_point() else normalise(images, self.mean, self.std)


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Apply ToTensor and Normalize to each image: (batch, 3, height, width), fp32.

    images: (batch, height, width, 3), uint8; mean, std: (3,), of pixels in [0, 1].
    """
    width = images.shape[2]
    rows = images.flatten(2).float()  # on a CPU, short rows would take three times as long
    rows.sub_((255 * mean).repeat(width)).div_((255 * std).repeat(width))
    return rows.view(images.shape).permute(0, 3, 1, 2)  # channels_last in memory
