"""The order in which an epoch reads the images of shards. It depends only on the epoch's seed and
the number of images in each shard, not on the number of processes or on interruptions.

The shards are shuffled, and the sequence of their images is split into SHARDS.LANES *lanes* of
equal length. A batch takes equally many images from each lane, so it mixes several shards, and a
process under torchrun reads only its own lanes. A lane is read in blocks, which are shuffled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Rows start .. stop - 1 of the images of a shard."""

    shard: int
    start: int
    stop: int


@dataclass(frozen=True)
class Order:
    """counts: images of each shard; batch: images of a batch; lanes, shuffle: the options. The
    number of lanes used is the largest divisor of `lanes` that also divides the batch."""

    counts: tuple[int, ...]
    batch: int
    lanes: int
    shuffle: int

    @cached_property
    def number(self) -> int:
        """Number of lanes."""
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
        """Yield the pieces of a lane, without its first `skip` images. seed: of the epoch."""
        order = np.random.default_rng(seed).permutation(len(self.counts))
        ends = np.cumsum(np.array(self.counts)[order])
        first, last = self._end(lane) + skip, self._end(lane + 1)
        for shard, end in zip(order.tolist(), ends.tolist()):
            begin = end - self.counts[shard]
            start, stop = max(first, begin) - begin, min(last, end) - begin
            if start < stop:
                yield Piece(shard, start, stop)

    def shuffled(self, seed: int, lane: int, block: int, images: int) -> list[int]:
        """Return the order of the `images` of a block."""
        return np.random.default_rng([seed, lane, block]).permutation(images).tolist()

    def _end(self, lane: int) -> int:
        return sum(self.counts) * lane // self.number
