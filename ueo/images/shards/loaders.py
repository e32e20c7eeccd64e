"""Loaders of images in shards: training epochs in random order, and every image once in order."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from dassl.data.transforms import build_transform
from torch import Tensor
from torch.utils.data import DataLoader

from modern_dassl import distributed
from ueo.errors import ConfigError, DataError
from ueo.images.decoding import read_image
from ueo.images.items import Images
from ueo.images.lists import NO_LABEL
from ueo.images.loaders import OnDevice
from ueo.images.shards.listing import Shard
from ueo.images.shards.order import Order
from ueo.images.shards.reading import Member, again
from ueo.images.shards.tables import Tables
from ueo.images.transforms import Normaliser, evaluation_transform
from ueo.settings.config import setting_of

NOT_OF_THE_BATCH = -1  # place of an image that only fills an empty part of a batch


class Drawn(NamedTuple):
    """An image of a training batch, not yet decoded. index: among the images of all shards; place:
    in the whole batch; features: (embedding,), from the frozen encoder."""

    member: Member
    index: int
    place: int
    features: np.ndarray


class ShardImages(Images):
    """Images as items, decoded from bytes. An item reveals only its place in the batch."""

    def __init__(self, cfg, transform):
        super().__init__([], transform, hide=True, upright=bool(setting_of(cfg, "UPRIGHT")),
                         plain=setting_of(cfg, "PLAIN_TRANSFORM"))

    def __getitem__(self, drawn: Drawn) -> dict:
        with self.drawn_for(drawn.index):
            image = self.seen(self.pixels(drawn.member))
        return {"img": image, "label": NO_LABEL, "index": drawn.place,
                "features": torch.from_numpy(drawn.features)}

    def pixels(self, member: Member) -> np.ndarray:
        """Decode to (height, width, 3), uint8. Raises DataError for an unreadable image."""
        return np.asarray(read_image(member.name, self.upright, data=member.data))

    def view_of(self, member: Member) -> Tensor:
        """Decode and transform the image, for a deterministic transform."""
        return self.seen(self.pixels(member))


class ShardLoader(OnDevice):
    """Base of both loaders, of images in `shards`."""

    def __init__(self, shards: list[Shard], cfg, device: torch.device, transform):
        self.shards, self.dataset = shards, ShardImages(cfg, transform)
        self.normalise = Normaliser(cfg.INPUT, device)
        self.num_workers = cfg.DATALOADER.NUM_WORKERS


class TrainingShards(ShardLoader):
    """Every image once an epoch, in the order of order.py; the last batch may be smaller. Under
    torchrun each process reads its own lanes. Call `open` with the tables first."""

    shared_equally = True  # except the last batch, whose loss is computed over all processes
    order: Order
    _tables: Tables

    def __init__(self, shards: list[Shard], cfg, device: torch.device):
        super().__init__(shards, cfg, device, build_transform(cfg, is_train=True))
        self.batch_size, self.options = cfg.DATALOADER.TRAIN_X.BATCH_SIZE, cfg.SHARDS

    def open(self, tables: Tables) -> None:
        """Raise DataError or ConfigError if the images cannot be divided into lanes."""
        order = Order(tables.counts, self.batch_size, self.options.LANES, self.options.SHUFFLE)
        images, processes = sum(tables.counts), distributed.world_size()
        if order.number % processes:
            raise ConfigError(
                f"SHARDS.LANES: {processes} processes cannot share {order.number} lanes, which is "
                f"the largest number that divides {self.options.LANES} and a batch of "
                f"{self.batch_size}"
            )
        if images < order.number:
            raise DataError(f"{images} images in {len(self.shards)} shards are fewer than the "
                            f"{order.number} lanes of SHARDS.LANES")
        self._tables, self.order = tables, order
        self.starts = np.cumsum((0, *tables.counts))
        self.dataset.chosen = range(images)

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[dict]:
        return self.epoch(self.begin_epoch())

    def begin_epoch(self) -> int:
        """Draw the epoch's seed from torch's global random state, as every loader does."""
        return int(distributed.broadcast(self.dataset.seed.random_(2**62)))

    def epoch(self, seed: int, first: int = 0) -> Iterator[dict]:
        """Yield the batches of an epoch from number `first` on."""
        self.dataset.seed.fill_(seed)
        loader = DataLoader(
            self.dataset, batch_sampler=self._batches(seed, first), num_workers=self.num_workers,
            pin_memory=self.normalise.mean.device.type == "cuda", generator=torch.Generator(),
        )
        for batch in loader:
            features = batch.pop("features")  # they stay on the CPU, where weights are computed
            yield {**self._prepared(batch), "features": features}

    def _batches(self, seed: int, first: int) -> Iterator[list[Drawn]]:
        """Yield this process's part of each batch. An empty part gets a filler image, because the
        process must still take part in the step."""
        own = distributed.share(range(self.order.number))
        streams = {lane: self._lane(seed, lane, first * self.order.size) for lane in own}
        for number in range(first, len(self.order)):
            place = sum(self.order.in_batch(number, lane) for lane in range(own[0]))
            batch = []
            for lane, stream in streams.items():
                for drawn in islice(stream, self.order.in_batch(number, lane)):
                    batch.append(drawn._replace(place=place + len(batch)))
            yield batch or [next(self._in_order(seed, own[0]))]

    def _lane(self, seed: int, lane: int, skip: int) -> Iterator[Drawn]:
        """Yield the shuffled images of a lane, without the first `skip`."""
        block = skip // self.order.block
        images = self._in_order(seed, lane, block * self.order.block)
        skip -= block * self.order.block
        while held := dict(enumerate(islice(images, self.order.block))):
            order = self.order.shuffled(seed, lane, block, len(held))[skip:]
            yield from (held.pop(i) for i in order)
            block, skip = block + 1, 0

    def _in_order(self, seed: int, lane: int, skip: int = 0) -> Iterator[Drawn]:
        """Yield the images of a lane in the order of its shards."""
        for shard, start, stop in self.order.pieces(seed, lane, skip):
            table = self._tables.read(shard)
            with closing(again(self.shards[shard], table.names, start, stop)) as found:
                for row, member in found:
                    features = np.array(table.features[row])
                    yield Drawn(member, int(self.starts[shard]) + row, NOT_OF_THE_BATCH, features)


class EvaluationShards(ShardLoader):
    """Every image once, in the order of the shards; under torchrun, a range of shards a process."""

    def __init__(self, shards: list[Shard], cfg, device: torch.device):
        super().__init__(shards, cfg, device, evaluation_transform(cfg))
        self.batch_size = cfg.DATALOADER.TEST.BATCH_SIZE
        self.own = list(distributed.share(range(len(shards))))
        if not self.own:
            raise DataError(f"{len(shards)} shards are too few for "
                            f"{distributed.world_size()} processes")
