"""Common corruptions of a picture at severities 1 to 5 (Hendrycks and Dietterich, ICLR 2019,
arXiv:1903.12261).

Names and severities are those of ImageNet-C where they do not depend on the size of the picture;
blur is our choice, for pictures of 64 pixels a side. Pictures are (height, width, 3), uint8. All
randomness comes from the generator `rng`.
"""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
SEVERITIES = (1, 2, 3, 4, 5)


def gaussian_noise(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return _bytes(picture / 255 + rng.normal(scale=deviation, size=picture.shape))


def shot_noise(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise of a photon count."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return _bytes(rng.poisson(picture / 255 * photons) / photons)


def impulse_noise(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Set random values to black or white."""
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    struck = rng.random(picture.shape)
    return np.where(struck < share, np.where(struck < share / 2, 0, 255), picture).astype(np.uint8)


def defocus_blur(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    radius = (0.6, 0.9, 1.3, 1.8, 2.5)[severity - 1]  # pixels
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def fog(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Overlay a plasma cloud, keeping the brightest value."""
    strength, decay = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))[severity - 1]
    brightest = picture.max() / 255
    clouds = picture / 255 + strength * plasma(picture.shape[:2], decay, rng)[..., None]
    return _bytes(clouds * brightest / (brightest + strength))


def brightness(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    more = (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1]
    hsv = np.array(Image.fromarray(picture).convert("HSV"))
    hsv[..., 2] = _bytes(hsv[..., 2] / 255 + more)
    return np.asarray(Image.fromarray(hsv, "HSV").convert("RGB"))


def contrast(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    kept = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    values = picture / 255
    means = values.mean((0, 1))
    return _bytes((values - means) * kept + means)


def pixelate(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    kept = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = picture.shape[:2]
    small = Image.fromarray(picture).resize(
        (max(1, int(width * kept)), max(1, int(height * kept))), Image.Resampling.BOX
    )
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def jpeg_compression(picture: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    return as_jpeg(picture, (25, 18, 15, 10, 7)[severity - 1])


CORRUPTIONS: dict[str, Corruption] = {
    function.__name__: function
    for function in (gaussian_noise, shot_noise, impulse_noise, defocus_blur, fog, brightness,
                     contrast, pixelate, jpeg_compression)
}


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """Write the picture as a JPEG of this quality and read it again."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def plasma(shape: tuple[int, int], decay: float, rng: np.random.Generator) -> np.ndarray:
    """Clouds in 0..1 of this shape: a sum of noise on grids, each twice as fine as the last and
    weaker by the factor `decay`."""
    total = np.zeros(shape)
    cells, strength = 2, 1.0
    while cells <= max(shape):
        grid = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
        total += strength * np.asarray(grid.resize(shape[::-1], Image.Resampling.BICUBIC))
        cells, strength = 2 * cells, strength / decay
    total -= total.min()
    return total / total.max()


def _bytes(values: np.ndarray) -> np.ndarray:
    """Convert values of 0..1 to uint8, clipping others."""
    return (values.clip(0, 1) * 255 + 0.5).astype(np.uint8)
