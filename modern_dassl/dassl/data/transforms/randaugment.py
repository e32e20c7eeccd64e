"""Three RandAugments, from an RGB image to an RGB image.

RandAugment: Cubuk et al., NeurIPS 2020. FixMatch: Sohn et al., NeurIPS 2020. torchvision's
RandAugment is another one: 14 operations in other ranges, where this one has 16. Random numbers
come from Python's `random`.
"""

import random

from dassl.utils import ConfigValueError
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

__all__ = ["RandAugment", "RandAugment2", "RandAugmentFixMatch"]

PATCH = (125, 123, 114)  # colour of a patch that is cut out


def affine(img, coefficients, **options):
    """Coefficients (a, b, c, d, e, f): pixel (x, y) is taken from (ax + by + c, dx + ey + f)."""
    return img.transform(img.size, Image.Transform.AFFINE, coefficients, **options)


def _solarize_add(img, value):
    """Add to all pixels, then invert those of 128 and more."""
    table = [min(255, int(pixel + value)) for pixel in range(256)]
    return ImageOps.solarize(img.point(table * len(img.getbands())), 128)


def _cut_out(img, side):
    """One square, smaller where it starts at the right or lower edge."""
    width, height = img.size
    left = int(max(0, random.uniform(0, width) - side / 2))
    top = int(max(0, random.uniform(0, height) - side / 2))
    img = img.copy()
    corners = (left, top, min(width, left + side), min(height, top + side))
    ImageDraw.Draw(img).rectangle(corners, PATCH)
    return img


def _either_way(operation):
    return lambda img, value: operation(img, -value if random.random() > 0.5 else value)


_AUTO_CONTRAST = (lambda img, _: ImageOps.autocontrast(img), 0, 1)
_EQUALIZE = (lambda img, _: ImageOps.equalize(img), 0, 1)
_INVERT = (lambda img, _: ImageOps.invert(img), 0, 1)
_IDENTITY = (lambda img, _: img, 0, 1)
_POSTERIZE = (lambda img, value: ImageOps.posterize(img, int(value)), 4, 8)
_SOLARIZE = (ImageOps.solarize, 0, 256)
_ROTATE = _either_way(lambda img, value: img.rotate(value))
_SHEAR_X = _either_way(lambda img, value: affine(img, (1, value, 0, 0, 1, 0)))
_SHEAR_Y = _either_way(lambda img, value: affine(img, (1, 0, 0, value, 1, 0)))
# pixels
_SHIFT_X = _either_way(lambda img, value: affine(img, (1, 0, value, 0, 1, 0)))
_SHIFT_Y = _either_way(lambda img, value: affine(img, (1, 0, 0, 0, 1, value)))
# shares of the size
_SLIDE_X = _either_way(lambda img, value: affine(img, (1, 0, value * img.size[0], 0, 1, 0)))
_SLIDE_Y = _either_way(lambda img, value: affine(img, (1, 0, 0, 0, 1, value * img.size[1])))


def _enhancers(low, high, *kinds):
    def enhancer(kind):
        return lambda img, value: getattr(ImageEnhance, kind)(img).enhance(value)

    return [(enhancer(kind), low, high) for kind in kinds]


class _RandAugment:
    operations: list[tuple] = []  # (image, value) -> image, lowest value, highest value

    def __init__(self, n: int = 2):
        if n < 0:
            raise ConfigValueError(f"INPUT.RANDAUGMENT_N must not be negative, but is {n}")
        self.n = n

    def __call__(self, img):
        for operation, low, high in random.choices(self.operations, k=self.n):
            level = self.level()
            if level is not None:
                img = operation(img, level * (high - low) + low)
        return img

    def level(self) -> float | None:
        """Where between lowest and highest; None leaves the operation out."""
        return random.random()


class RandAugment(_RandAugment):
    """`n` of 16 operations, each at the strength m of 30."""

    operations = [
        _AUTO_CONTRAST, _EQUALIZE, _INVERT, (_ROTATE, 0, 30), _POSTERIZE, _SOLARIZE,
        (_solarize_add, 0, 110), *_enhancers(0.1, 1.9, "Color", "Contrast", "Brightness"),
        *_enhancers(0.1, 1.9, "Sharpness"), (_SHEAR_X, 0, 0.3), (_SHEAR_Y, 0, 0.3),
        (_cut_out, 0, 40), (_SHIFT_X, 0, 100), (_SHIFT_Y, 0, 100),
    ]  # fmt: skip

    def __init__(self, n: int = 2, m: float = 10):
        super().__init__(n)
        if not 0 <= m <= 30:
            raise ConfigValueError(f"INPUT.RANDAUGMENT_M must lie between 0 and 30, but is {m}")
        self.m = m

    def level(self) -> float:
        return self.m / 30


class RandAugment2(_RandAugment):
    """`n` of 15 operations, each applied with probability p at a random strength."""

    operations = [
        _AUTO_CONTRAST, *_enhancers(0.1, 1.9, "Brightness", "Color", "Contrast"), _EQUALIZE,
        _IDENTITY, _INVERT, _POSTERIZE, (_ROTATE, -30, 30), *_enhancers(0.1, 1.9, "Sharpness"),
        (_SHEAR_X, -0.3, 0.3), (_SHEAR_Y, -0.3, 0.3), _SOLARIZE, (_SLIDE_X, -0.3, 0.3),
        (_SLIDE_Y, -0.3, 0.3),
    ]  # fmt: skip

    def __init__(self, n: int = 2, p: float = 0.6):
        super().__init__(n)
        self.p = p

    def level(self) -> float | None:
        return None if random.random() > self.p else random.random()


class RandAugmentFixMatch(_RandAugment):
    """`n` of FixMatch's 14 operations, each at a random strength."""

    operations = [
        _AUTO_CONTRAST, *_enhancers(0.05, 0.95, "Brightness", "Color", "Contrast"), _EQUALIZE,
        _IDENTITY, _POSTERIZE, (_ROTATE, -30, 30), *_enhancers(0.05, 0.95, "Sharpness"),
        (_SHEAR_X, -0.3, 0.3), (_SHEAR_Y, -0.3, 0.3), _SOLARIZE, (_SLIDE_X, -0.3, 0.3),
        (_SLIDE_Y, -0.3, 0.3),
    ]  # fmt: skip
