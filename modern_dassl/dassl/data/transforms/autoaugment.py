"""AutoAugment's policies (Cubuk et al., CVPR 2019), from an RGB image to an RGB image.

The tables are torchvision's, but the operations differ: torchvision fills with black, rotates both
ways and shears without interpolation. Random numbers come from Python's `random`.
"""

import random

from dassl.data.transforms.operations import affine
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import AutoAugment, AutoAugmentPolicy

GREY = (128, 128, 128)
SHEAR, SHIFT, DEGREES, ENHANCE = 0.3, 150 / 331, 30, 0.9  # at full strength


def _sign() -> int:
    return random.choice((-1, 1))


def _enhancer(kind):
    return lambda img, t, fill: kind(img).enhance(1 + ENHANCE * t * _sign())


def _shear_x(img, t, fill):
    coefficients = (1, SHEAR * t * _sign(), 0, 0, 1, 0)
    return affine(img, coefficients, resample=Image.Resampling.BICUBIC, fillcolor=fill)


def _shear_y(img, t, fill):
    coefficients = (1, 0, 0, SHEAR * t * _sign(), 1, 0)
    return affine(img, coefficients, resample=Image.Resampling.BICUBIC, fillcolor=fill)


def _shift_x(img, t, fill):
    return affine(img, (1, 0, SHIFT * t * img.size[0] * _sign(), 0, 1, 0), fillcolor=fill)


def _shift_y(img, t, fill):
    return affine(img, (1, 0, 0, 0, 1, SHIFT * t * img.size[1] * _sign()), fillcolor=fill)


OPERATIONS = {  # (image, strength from 0 to 1, colour to fill with) -> image
    "ShearX": _shear_x,
    "ShearY": _shear_y,
    "TranslateX": _shift_x,
    "TranslateY": _shift_y,
    "Rotate": lambda img, t, fill: img.rotate(DEGREES * t, fillcolor=GREY),
    "Color": _enhancer(ImageEnhance.Color),
    "Contrast": _enhancer(ImageEnhance.Contrast),
    "Sharpness": _enhancer(ImageEnhance.Sharpness),
    "Brightness": _enhancer(ImageEnhance.Brightness),
    "Posterize": lambda img, t, fill: ImageOps.posterize(img, round(8 - 4 * t)),
    "Solarize": lambda img, t, fill: ImageOps.solarize(img, 256 * (1 - t)),
    "AutoContrast": lambda img, t, fill: ImageOps.autocontrast(img),
    "Equalize": lambda img, t, fill: ImageOps.equalize(img),
    "Invert": lambda img, t, fill: ImageOps.invert(img),
}
_BY_NAME = {name.lower(): operation for name, operation in OPERATIONS.items()}


class SubPolicy:
    """Two operations, each with its probability and its strength from 0 to 9."""

    def __init__(
        self, p1, operation1, magnitude_idx1, p2, operation2, magnitude_idx2, fillcolor=GREY
    ):
        self.steps = (p1, operation1, magnitude_idx1), (p2, operation2, magnitude_idx2)
        self.fillcolor = fillcolor

    def __call__(self, img):
        for probability, name, strength in self.steps:
            if random.random() < probability:
                img = _BY_NAME[name.lower()](img, strength / 9, self.fillcolor)
        return img


class _Policy:
    """One of 25 pairs of operations."""

    name: AutoAugmentPolicy

    def __init__(self, fillcolor=GREY):
        self.policies = [
            SubPolicy(p1, name1, strength1 or 0, p2, name2, strength2 or 0, fillcolor)
            for (name1, p1, strength1), (name2, p2, strength2) in AutoAugment(self.name).policies
        ]

    def __call__(self, img):
        return random.choice(self.policies)(img)


class ImageNetPolicy(_Policy):
    """The policy found on ImageNet."""

    name = AutoAugmentPolicy.IMAGENET


class CIFAR10Policy(_Policy):
    """The policy found on CIFAR-10."""

    name = AutoAugmentPolicy.CIFAR10


class SVHNPolicy(_Policy):
    """The policy found on SVHN."""

    name = AutoAugmentPolicy.SVHN
