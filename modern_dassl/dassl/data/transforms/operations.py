"""The operations of RandAugment under Dassl's names: (image, value) -> image.

Most take and return an RGB image. Random numbers come from Python's `random`.
"""

import random

import torch
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

PATCH = (125, 123, 114)  # colour of cut-out patches


def affine(img, coefficients, **options):
    """Transform by (a, b, c, d, e, f): pixel (x, y) comes from (ax + by + c, dx + ey + f)."""
    return img.transform(img.size, Image.Transform.AFFINE, coefficients, **options)


def _either_way(value):
    return -value if random.random() > 0.5 else value


def ShearX(img, v):
    return affine(img, (1, _either_way(v), 0, 0, 1, 0))


def ShearY(img, v):
    return affine(img, (1, 0, 0, _either_way(v), 1, 0))


def TranslateXabs(img, v):
    """Shift by v pixels, either way."""
    return affine(img, (1, 0, _either_way(v), 0, 1, 0))


def TranslateYabs(img, v):
    """Shift by v pixels, either way."""
    return affine(img, (1, 0, 0, 0, 1, _either_way(v)))


def TranslateX(img, v):
    """Shift by v times the width."""
    return TranslateXabs(img, v * img.size[0])


def TranslateY(img, v):
    """Shift by v times the height."""
    return TranslateYabs(img, v * img.size[1])


def Rotate(img, v):
    """Rotate by v degrees."""
    return img.rotate(_either_way(v))


def AutoContrast(img, _):
    return ImageOps.autocontrast(img)


def Invert(img, _):
    return ImageOps.invert(img)


def Equalize(img, _):
    return ImageOps.equalize(img)


def Flip(img, _):
    return ImageOps.mirror(img)


def Identity(img, v):
    return img


def Solarize(img, v):
    """Invert pixels with values of at least v."""
    return ImageOps.solarize(img, v)


def SolarizeAdd(img, addition=0, threshold=128):
    """Add to all pixels, then invert those of at least `threshold`."""
    table = [max(0, min(255, int(pixel + addition))) for pixel in range(256)]
    return ImageOps.solarize(img.point(table * len(img.getbands())), threshold)


def Posterize(img, v):
    """Keep int(v) bits of each colour."""
    return ImageOps.posterize(img, int(v))


def Contrast(img, v):
    return ImageEnhance.Contrast(img).enhance(v)


def Color(img, v):
    return ImageEnhance.Color(img).enhance(v)


def Brightness(img, v):
    return ImageEnhance.Brightness(img).enhance(v)


def Sharpness(img, v):
    return ImageEnhance.Sharpness(img).enhance(v)


def Cutout(img, v):
    """Cut out a square with a side of v times the width."""
    return CutoutAbs(img, v * img.size[0]) if v > 0 else img


def CutoutAbs(img, v):
    """Cut out a square of side v, clipped at the right and lower edges."""
    if v < 0:
        return img
    width, height = img.size
    left = int(max(0, random.uniform(0, width) - v / 2))
    top = int(max(0, random.uniform(0, height) - v / 2))
    img = img.copy()
    corners = (left, top, min(width, left + v), min(height, top + v))
    ImageDraw.Draw(img).rectangle(corners, PATCH)
    return img


def SamplePairing(imgs):
    """Return the operation that blends with a random one of `imgs`: arrays (height, width, 3)."""
    return lambda img, v: Image.blend(img, Image.fromarray(random.choice(imgs)), v)


class Lighting:
    """AlexNet's colour noise on a tensor (3, height, width): along principal components."""

    def __init__(self, alphastd, eigval, eigvec):
        self.alphastd = alphastd
        self.eigval, self.eigvec = torch.as_tensor(eigval), torch.as_tensor(eigvec)

    def __call__(self, img):
        if self.alphastd == 0:
            return img
        strengths = torch.randn(3) * self.alphastd * self.eigval
        return img + (self.eigvec @ strengths).to(img)[:, None, None]
