"""Simulate a phone's photograph of a printed drawing: a textured background, uneven light, a slight
tilt, sensor noise and JPEG, at severities 1 to 5.

Drawings are (height, width, 3), uint8, on white. White that is connected to the border is the
background; white inside a drawing is kept.
"""

import numpy as np
from PIL import Image, ImageFilter

from ueo.shifts.corruptions import as_jpeg, plasma

# for severities 1 to 5
TEXTURE = (0.25, 0.45, 0.65, 0.85, 1.0)  # share of the texture in the background, mixed with white
TILT = (0.02, 0.04, 0.06, 0.08, 0.10)  # largest shift of a corner, relative to the side
SHRINK = (0.95, 0.92, 0.88, 0.84, 0.80)  # smallest size of the drawing, relative to the picture
SHADE = (0.1, 0.2, 0.3, 0.4, 0.5)  # share of the light lost on the darker side
NOISE = (2.0, 4.0, 6.0, 9.0, 12.0)  # standard deviation, grey levels
QUALITY = (90, 80, 70, 55, 40)  # of the JPEG
WHITE = 12  # grey levels below 255 that still count as white


def in_scene(drawing: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Put the drawing into a random scene: (height, width, 3), uint8."""
    at = severity - 1
    height, width = drawing.shape[:2]
    layer = Image.fromarray(np.dstack([drawing, matte(drawing)]), "RGBA")
    layer = _placed(layer, rng.uniform(SHRINK[at], 1.0), TILT[at], rng)
    share = np.asarray(layer)[..., 3:] / 255
    ground = 255 + TEXTURE[at] * (texture((height, width), rng) - 255)
    seen = share * np.asarray(layer)[..., :3] + (1 - share) * ground
    seen = seen * shading((height, width), SHADE[at], rng)[..., None]
    seen = seen + rng.normal(scale=NOISE[at], size=seen.shape)
    return as_jpeg((seen.clip(0, 255) + 0.5).astype(np.uint8), QUALITY[at])


def matte(drawing: np.ndarray) -> np.ndarray:
    """(height, width), uint8: 0 on the white background, 255 on the drawing, soft between."""
    from scipy.ndimage import label  # here, because most commands need no scene

    regions, _ = label(np.pad(drawing.min(2) >= 255 - WHITE, 1, constant_values=True))
    drawn = (regions[1:-1, 1:-1] != regions[0, 0]).astype(np.uint8) * 255
    return np.asarray(Image.fromarray(drawn).filter(ImageFilter.GaussianBlur(0.5)))


def texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3), 0..255: two colours mixed by clouds, stripes or a grid."""
    first, second = rng.uniform(30, 225, (2, 3))
    kind = rng.integers(3)
    rows, columns = np.indices(shape)
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 14)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns
    share = plasma(shape, 1.5, rng)
    if kind == 1:
        share = 0.3 * share + 0.35 * (1 + np.sin(2 * np.pi * along / period))
    elif kind == 2:
        lines = np.sin(2 * np.pi * along / period) * np.sin(2 * np.pi * across / period)
        share = 0.3 * share + 0.35 * (1 + lines)
    return share[..., None] * first + (1 - share[..., None]) * second


def shading(shape: tuple[int, int], lost: float, rng: np.random.Generator) -> np.ndarray:
    """(height, width): light that falls from 1 to 1 - `lost` in a random direction."""
    rows, columns = np.indices(shape)
    angle = rng.uniform(0, 2 * np.pi)
    way = np.cos(angle) * columns + np.sin(angle) * rows
    return 1 - lost * (way - way.min()) / (way.max() - way.min())


def _placed(
    layer: Image.Image, scale: float, tilt: float, rng: np.random.Generator
) -> Image.Image:
    """Shrink, move and tilt the layer; its surroundings are transparent."""
    width, height = layer.size
    size = np.array([width, height])
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * size  # upper left, then down and right
    corner = rng.uniform(0, 1, 2) * (1 - scale) * size
    target = corners * scale + corner + rng.uniform(-tilt, tilt, (4, 2)) * size
    return layer.transform(
        layer.size, Image.Transform.PERSPECTIVE, _perspective(target, corners),
        Image.Resampling.BICUBIC,
    )


def _perspective(source: np.ndarray, target: np.ndarray) -> list[float]:
    """Return Pillow's eight coefficients of the perspective that maps the corners `source`, in the
    picture, to `target`, in the layer; both (4, 2)."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, target):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return np.linalg.solve(np.array(rows, float), np.array(values, float)).tolist()
