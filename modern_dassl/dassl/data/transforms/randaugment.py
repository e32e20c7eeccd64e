"""Three RandAugments, from an RGB image to an RGB image.

RandAugment: Cubuk et al., NeurIPS 2020. FixMatch: Sohn et al., NeurIPS 2020. torchvision's
RandAugment differs: it has 14 operations with other ranges, this one 16. Random numbers come from
Python's `random`.
"""

import random

from dassl.data.transforms.operations import (
    AutoContrast,
    Brightness,
    Color,
    Contrast,
    CutoutAbs,
    Equalize,
    Identity,
    Invert,
    Posterize,
    Rotate,
    Sharpness,
    ShearX,
    ShearY,
    Solarize,
    SolarizeAdd,
    TranslateX,
    TranslateXabs,
    TranslateY,
    TranslateYabs,
)
from dassl.utils import ConfigValueError


def randaugment_list() -> list[tuple]:
    """RandAugment's 16 operations, each with its lowest and highest value."""
    return [
        (AutoContrast, 0, 1), (Equalize, 0, 1), (Invert, 0, 1), (Rotate, 0, 30),
        (Posterize, 4, 8), (Solarize, 0, 256), (SolarizeAdd, 0, 110), (Color, 0.1, 1.9),
        (Contrast, 0.1, 1.9), (Brightness, 0.1, 1.9), (Sharpness, 0.1, 1.9), (ShearX, 0, 0.3),
        (ShearY, 0, 0.3), (CutoutAbs, 0, 40), (TranslateXabs, 0, 100), (TranslateYabs, 0, 100),
    ]  # fmt: skip


def randaugment_list2() -> list[tuple]:
    """RandAugment2's 15 operations."""
    return [
        (AutoContrast, 0, 1), (Brightness, 0.1, 1.9), (Color, 0.1, 1.9), (Contrast, 0.1, 1.9),
        (Equalize, 0, 1), (Identity, 0, 1), (Invert, 0, 1), (Posterize, 4, 8), (Rotate, -30, 30),
        (Sharpness, 0.1, 1.9), (ShearX, -0.3, 0.3), (ShearY, -0.3, 0.3), (Solarize, 0, 256),
        (TranslateX, -0.3, 0.3), (TranslateY, -0.3, 0.3),
    ]  # fmt: skip


def fixmatch_list() -> list[tuple]:
    """FixMatch's 14 operations."""
    return [
        (AutoContrast, 0, 1), (Brightness, 0.05, 0.95), (Color, 0.05, 0.95),
        (Contrast, 0.05, 0.95), (Equalize, 0, 1), (Identity, 0, 1), (Posterize, 4, 8),
        (Rotate, -30, 30), (Sharpness, 0.05, 0.95), (ShearX, -0.3, 0.3), (ShearY, -0.3, 0.3),
        (Solarize, 0, 256), (TranslateX, -0.3, 0.3), (TranslateY, -0.3, 0.3),
    ]  # fmt: skip


class _RandAugment:
    def __init__(self, n: int, augment_list: list[tuple]):
        if n < 0:
            raise ConfigValueError(f"INPUT.RANDAUGMENT_N must not be negative, but is {n}")
        self.n, self.augment_list = n, augment_list

    def __call__(self, img):
        for operation, low, high in random.choices(self.augment_list, k=self.n):
            level = self.level()
            if level is not None:
                img = operation(img, level * (high - low) + low)
        return img

    def level(self) -> float | None:
        """Choose the position between lowest and highest; None skips the operation."""
        return random.random()


class RandAugment(_RandAugment):
    """`n` of 16 operations, each at the strength m of 30."""

    def __init__(self, n: int = 2, m: float = 10):
        super().__init__(n, randaugment_list())
        if not 0 <= m <= 30:
            raise ConfigValueError(f"INPUT.RANDAUGMENT_M must lie between 0 and 30, but is {m}")
        self.m = m

    def level(self) -> float:
        return self.m / 30


class RandAugment2(_RandAugment):
    """`n` of 15 operations, each applied with probability p at a random strength."""

    def __init__(self, n: int = 2, p: float = 0.6):
        super().__init__(n, randaugment_list2())
        self.p = p

    def level(self) -> float | None:
        return None if random.random() > self.p else random.random()


class RandAugmentFixMatch(_RandAugment):
    """`n` of FixMatch's 14 operations, each at a random strength."""

    def __init__(self, n: int = 2):
        super().__init__(n, fixmatch_list())
