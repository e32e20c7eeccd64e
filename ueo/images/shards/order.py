"""In which order an epoch takes the images of shards: a function of its seed and of how many images
each shard holds, whatever the number of processes, and wherever it is begun again.

The shards are put in random order, and the row of their images is cut into as many *lanes* as
SHARDS.LANES says, equally long. Each batch takes as many images of each lane, so its images are of
several places, and a process under torchrun reads its own lanes alone. A lane comes in blocks of
images, and these are shuffled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Rows start .. stop - 1 of a shard's images."""

    shard: int
    start: int
    stop: int


@dataclass(frozen=True)
class Order:
    """counts: images of each shard; batch: images in a batch; lanes and shuffle: the options. There
    are as many lanes as also divide the batch."""

    counts: tuple[int, ...]
    batch: int
    lanes: int
    shuffle: int

    @cached_property
    def number(self) -> int:
        """Of lanes."""
        return gcd(self.batch, self.lanes)

    @property
    def size(self) -> int:
        """Images of a lane in a batch."""
        return self.batch // self.number

    @property
    def block(self) -> int:
        """Images of a lane that are shuffled together."""
        return max(self.shuffle // self.number, 1)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-max(map(self.length, range(self.number))) // self.size)

    def length(self, lane: int) -> int:
        """Images of a lane."""
        return self._end(lane + 1) - self._end(lane)

    def in_batch(self, number: int, lane: int) -> int:
        """Images of a lane in batch `number`, which is smaller at the end."""
        return min(max(self.length(lane) - number * self.size, 0), self.size)

    def pieces(self, seed: int, lane: int, skip: int = 0) -> Iterator[Piece]:
        """What a lane reads, without its first `skip` images. seed: of the epoch."""
        order = np.random.default_rng(seed).permutation(len(self.counts))
        ends = np.cumsum(np.array(self.counts)[order])
        first, last = self._end(lane) + skip, self._end(lane + 1)
        for shard, end in zip(order.tolist(), ends.tolist()):
            begin = end - self.counts[shard]
            start, stop = max(first, begin) - begin, min(last, end) - begin
            if start < stop:
                yield Piece(shard, start, stop)

    def shuffled(self, seed: int, lane: int, block: int, images: int) -> list[int]:
        """In which order the `images` of a block come."""
        return np.random.default_rng([seed, lane, block]).permutation(images).tolist()

    def _end(self, lane: int) -> int:
        return sum(self.counts) * lane // self.number
