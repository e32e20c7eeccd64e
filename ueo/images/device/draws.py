"""Draw the boxes and flips of many images at once, bit for bit as torchvision draws them singly.

Image i of an epoch is drawn with the random seed `seed` + i (modern_dassl/loading.py). Torch's CPU
generator is the Mersenne Twister MT19937, which NumPy has too. So NumPy gives the random numbers of
each image, from which the boxes of all images are computed in parallel.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.transforms import RandomResizedCrop

from modern_dassl.loading import torch_state_of

TRIES = 10  # attempts of RandomResizedCrop.get_params before it takes the centre
NUMBERS = 2 * TRIES + 3  # random numbers that an image may need: tries, top, left, flip
CHECKED = 4  # images compared with torchvision; if one differs, torchvision draws them all


def draw(crop: RandomResizedCrop, flips: Sequence[float], sizes: np.ndarray, seeds: np.ndarray
         ) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes (images, 4): top, left, height, width, and whether each is flipped (images,).

    flips: the probability of RandomHorizontalFlip, or empty. sizes: (images, 2), height and width.
    seeds: (images,), one random seed an image. All int64.
    """
    boxes, flipped = _together(crop, flips, sizes, seeds)
    for row in range(min(CHECKED, len(sizes))):
        if _one(crop, flips, sizes[row], seeds[row]) != (*boxes[row], flipped[row]):
            rows = [_one(crop, flips, size, seed) for size, seed in zip(sizes, seeds)]
            return np.array([row[:4] for row in rows]), np.array([row[4] for row in rows])
    return boxes, flipped


def _one(crop: RandomResizedCrop, flips: Sequence[float], size: np.ndarray, seed: int) -> tuple:
    """Draw (top, left, height, width, whether it is flipped) of one image with torchvision."""
    shape = torch.empty(3, *size.tolist(), device="meta")
    with torch_state_of(int(seed)):
        box = crop.get_params(shape, crop.scale, crop.ratio)
        return *box, any([bool(torch.rand(1) < p) for p in flips])


def _together(crop: RandomResizedCrop, flips: Sequence[float], sizes: np.ndarray,
              seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    words = _first_words(seeds)
    heights, widths = sizes.T
    boxes = _centres(crop.ratio, heights, widths)
    used = np.full(len(sizes), 2 * TRIES)
    height, width, fits = _tries(crop, words, heights, widths)
    found = fits.any(0)
    images, chosen = np.flatnonzero(found), fits.argmax(0)[found]
    height, width = height[chosen, images], width[chosen, images]
    after = 2 * (chosen + 1)
    top = words[after, images] % (heights[found] - height + 1)
    left = words[after + 1, images] % (widths[found] - width + 1)
    boxes[found] = np.stack([top, left, height, width], 1)
    used[found] = after + 2
    flipped = np.zeros(len(sizes), bool)
    for p in flips:
        flipped = _uniform(words[used, np.arange(len(sizes))]) < np.float32(p)
    return boxes, flipped


def _tries(crop: RandomResizedCrop, words: np.ndarray, heights: np.ndarray, widths: np.ndarray
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return height, width and whether they fit the image, (tries, images) each."""
    least, most = (np.float32(value) for value in crop.scale)
    shares = _uniform(words[: 2 * TRIES : 2]) * (most - least) + least
    low, high = torch.log(torch.tensor(crop.ratio)).numpy()
    exponents = _uniform(words[1 : 2 * TRIES : 2]) * (high - low) + low
    ratios = torch.exp(torch.from_numpy(exponents)).numpy().astype(np.float64)  # NumPy's differs
    areas = heights * widths * shares.astype(np.float64)
    width = np.rint(np.sqrt(areas * ratios)).astype(np.int64)
    height = np.rint(np.sqrt(areas / ratios)).astype(np.int64)
    return height, width, (width > 0) & (width <= widths) & (height > 0) & (height <= heights)


def _centres(ratio: Sequence[float], heights: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return the central boxes (images, 4), for images where no try fits."""
    shape = widths / heights
    narrow, wide = shape < min(ratio), shape > max(ratio)
    height = np.where(narrow, np.rint(widths / min(ratio)), heights).astype(np.int64)
    width = np.where(wide, np.rint(heights * max(ratio)), widths).astype(np.int64)
    return np.stack([(heights - height) // 2, (widths - width) // 2, height, width], 1)


def _uniform(words: np.ndarray) -> np.ndarray:
    """Convert words to fp32 numbers in [0, 1) from the 24 bits that torch uses."""
    return (words & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)


def _first_words(seeds: np.ndarray) -> np.ndarray:
    """Return the first outputs of MT19937 seeded with the low 32 bits: (NUMBERS, images), int64."""
    generator = np.random.MT19937()
    seeded = np.random.RandomState(generator)  # seeds as torch does
    words = np.empty((NUMBERS, len(seeds)), np.int64)
    for column, seed in enumerate((seeds & 0xFFFFFFFF).tolist()):
        seeded.seed(seed)
        words[:, column] = generator.random_raw(NUMBERS)
    return words
