"""Keep the decoded images of a training list on the device, and crop them there in each epoch.

A list is kept whole or not at all. The pixels are the same as without it (crops.py).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from modern_dassl import distributed
from ueo.errors import DataError
from ueo.images.device.budget import Budget
from ueo.images.device.crops import crop_batch, plan
from ueo.images.device.draws import draw
from ueo.images.device.weights import MOST_SHRUNK
from ueo.images.items import Images

CHUNK = 1 << 26  # bytes that are copied to the device at a time, unless one image has more
SURELY = 1.25  # possible error, as a factor, of the estimate of `Images.decoded_bytes`


class DecodedImages:
    """The images of a list, one after another: pixels (all pixels, 3), uint8, on the device."""

    def __init__(self, images: Images, sizes: np.ndarray, budget: Budget):
        """sizes: (images, 2), height and width."""
        self.crop, flips = images.fast
        self.flips = [flip.p for flip in flips]
        self.sizes, self.index = sizes, np.array(images.chosen)
        self.counts = sizes.prod(1)
        self.offsets = np.cumsum(self.counts) - self.counts
        self.pixels = torch.empty(int(self.counts.sum()), 3, dtype=torch.uint8,
                                  device=budget.device)
        self._fill(images, budget)

    def _fill(self, images: Images, budget: Budget) -> None:
        """Read all images in threads, a chunk at a time."""
        parts = chunks(3 * self.counts, CHUNK)
        staging = torch.empty(max(int(self.counts[part].sum()) for part in parts), 3,
                              dtype=torch.uint8)
        if budget.device.type == "cuda":
            staging = staging.pin_memory()
        held = staging.numpy()

        def read(row: int, begin: int) -> None:
            pixels = images.decoded(row)
            if pixels.shape[:2] != tuple(self.sizes[row]):
                raise DataError(f"image {row} of {len(images)} was replaced while the run read it")
            held[begin : begin + self.counts[row]] = pixels.reshape(-1, 3)

        hidden = None if distributed.is_main() else True  # None: shown on a terminal
        with ThreadPoolExecutor(budget.threads) as pool:
            for part in tqdm(parts, desc="images to the device", leave=False, disable=hidden):
                first, length = int(self.offsets[part.start]), int(self.counts[part].sum())
                begins = (self.offsets[part] - first).tolist()
                list(pool.map(read, range(part.start, part.stop), begins))
                self.pixels[first : first + length].copy_(staging[:length])

    def epoch(self, seed: int, used: Sequence[int]) -> Callable[[Sequence[int]], Tensor]:
        """Draw boxes and flips for the positions `used` of the list. Returns a function from some
        of these positions to their crops, (images, height, width, 3), uint8. seed: of the epoch."""
        boxes, flipped = draw(self.crop, self.flips, self.sizes[used], seed + self.index[used])
        size, row_of = tuple(self.crop.size), np.empty(len(self.sizes), int)
        row_of[used] = np.arange(len(used))

        def crops(positions: Sequence[int]) -> Tensor:
            rows = row_of[positions]
            planned = plan(self.offsets[positions], self.sizes[positions, 1], boxes[rows],
                           flipped[rows], size)
            return crop_batch(self.pixels, planned)

        return crops


def chunks(sizes: np.ndarray, most: int) -> list[slice]:
    """Split rows into consecutive chunks of total size at most `most`, or of one row."""
    found, begin, held = [], 0, 0
    for row, size in enumerate(sizes.tolist()):
        if held + size > most and row > begin:
            found.append(slice(begin, row))
            begin, held = row, 0
        held += size
    return [*found, slice(begin, len(sizes))]


def keep_decoded(images: Images, budget: Budget, otherwise: str) -> DecodedImages | None:
    """Copy the images to the device; None if they do not fit or have no fast way.

    otherwise: what happens to images that do not fit, for the printed line.
    """
    if not budget.left():
        return None
    what = f"{len(images):,} training images"
    if not images.fast:
        print(f"{what} are not kept on the device, which cannot do this transform: {otherwise}")
        return None
    guess = images.decoded_bytes()
    if guess > SURELY * budget.left():  # no need to read the size of each image
        budget.take(guess, f"About {what}", otherwise)
        return None
    with ThreadPoolExecutor(budget.threads) as pool:
        sizes = np.array(list(pool.map(images.size, range(len(images)))))
    if (sizes.max(0) > MOST_SHRUNK * np.array(images.fast[0].size)).any():
        print(f"{what} are not kept on the device, one is too large to resize exactly: {otherwise}")
        return None
    fits = budget.take(3 * int(sizes.prod(1).sum()), what, otherwise)
    return DecodedImages(images, sizes, budget) if fits else None
