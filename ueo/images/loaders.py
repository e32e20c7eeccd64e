"""Loaders: batches of a list of images, from the device's memory or read by worker processes; and
batches of images that may be unreadable."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from dassl.data.transforms import build_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler, SubsetRandomSampler

from modern_dassl import distributed
from modern_dassl.loading import EpochLoader
from ueo.errors import DataError
from ueo.images.device.budget import Budget
from ueo.images.device.decoded import DecodedImages, keep_decoded
from ueo.images.device.views import KeptViews, keep_views
from ueo.images.hashes import store_folder
from ueo.images.items import Images
from ueo.images.pixel_cache import open_store, warn_of_rest
from ueo.images.transforms import Normaliser, evaluation_transform
from ueo.images.unreadable import why_unreadable
from ueo.settings.config import setting_of


class OnDevice:
    """A loader that moves its batches to the device and normalises the images there."""

    def _prepared(self, batch: dict) -> dict:
        """Move a batch to the device and normalise its images."""
        device = self.normalise.mean.device
        facts = {key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
                 for key, value in batch.items() if key != "img"}
        return {"img": self.normalise(batch["img"]), **facts}

    def _facts(self, positions: list[int]) -> dict:
        """Return a batch without its images, in pinned memory for asynchronous copies."""
        facts = self.dataset.facts(positions)
        if self.normalise.mean.device.type == "cpu":
            return facts
        return {k: v.pin_memory() if isinstance(v, Tensor) else v for k, v in facts.items()}

    def _otherwise(self) -> str:
        return f"they are read in each pass ({self.num_workers} worker processes)"


class TrainingLoader(OnDevice, EpochLoader):
    """Every image once an epoch in random order; the smaller last batch is kept, as in the released
    code. Under torchrun each process gets its share of every batch.

    budget: device memory for the decoded images, which are copied there in the first epoch.
    order: sampler of the images; default: all in random order. Its generator gets seeded.
    """

    def __init__(
        self, images: Images, cfg, device: torch.device, budget: Budget | None = None,
        order: Sampler | None = None,
    ):
        workers = cfg.DATALOADER.NUM_WORKERS
        everything = RandomSampler(images, generator=torch.Generator())
        super().__init__(
            images,
            cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
            everything if order is None else order,
            drop_last=False,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
        )
        self.normalise = Normaliser(cfg.INPUT, device)
        self.budget = budget

    @property
    def used(self) -> Sequence[int]:
        """Positions of the images of an epoch."""
        return getattr(self.order, "indices", range(len(self.dataset)))

    @cached_property
    def kept(self) -> DecodedImages | None:
        """The images on the device, copied there at the first use; None if they do not fit."""
        return self.budget and keep_decoded(self.dataset, self.budget, self._otherwise())

    def __iter__(self) -> Iterator[dict]:
        if self.kept is None:
            yield from map(self._prepared, super().__iter__())
            return
        crops = self.kept.epoch(self.begin_epoch(), self.used)
        for positions in self.batch_sampler:
            yield self._prepared({"img": crops(positions), **self._facts(positions)})


class EndlessLoader:
    """Endless batches, of the size of those of `training`, of the images `chosen` from it, with
    augmentation seeds of their own. `chosen` may change between two iterations."""

    def __init__(self, training: TrainingLoader, cfg, device: torch.device):
        self._training, images = training, training.dataset
        self._order = SubsetRandomSampler([], torch.Generator())
        self._batches = TrainingLoader(images.only(images.chosen), cfg, device, order=self._order)

    @property
    def chosen(self) -> list[int]:
        """Positions among the images of `training`."""
        return self._order.indices

    @chosen.setter
    def chosen(self, positions: list[int]) -> None:
        self._order.indices = positions

    def __iter__(self) -> Iterator[dict]:
        self._batches.kept = self._training.kept
        while True:
            yield from self._batches


class EvaluationLoader(OnDevice, DataLoader):
    """Images in the order of the list; under torchrun a consecutive part of it. It has its own
    random generator, so that evaluations never affect training. Raises DataError for fewer images
    than processes.

    budget: device memory for the transformed images.
    """

    def __init__(self, images: Images, cfg, device: torch.device, budget: Budget | None = None):
        part = distributed.share(range(len(images)))
        if not part:
            raise DataError(
                f"{len(images)} images are too few for {distributed.world_size()} processes"
            )
        super().__init__(
            images,
            batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
            sampler=part,
            num_workers=cfg.DATALOADER.NUM_WORKERS,
            pin_memory=device.type == "cuda",
            generator=torch.Generator().manual_seed(0),
        )
        self.normalise = Normaliser(cfg.INPUT, device)
        self.budget = budget

    @cached_property
    def kept(self) -> KeptViews | None:
        """Memory on the device for the transformed images; None if they do not fit."""
        return self.budget and keep_views(self.dataset, self.sampler, self.budget,
                                          self._otherwise())

    def __iter__(self) -> Iterator[dict]:
        if self.kept is None:
            yield from map(self._prepared, super().__iter__())
            return
        for positions, views in zip(self.batch_sampler, self.kept.batches(self.batch_size)):
            yield self._prepared({"img": views, **self._facts(positions)})


def loaders(cfg, dataset, uses_labels: bool, device: torch.device):
    """Return a run's TrainingLoader and its EvaluationLoaders of the test and the unlabelled set.

    Without `uses_labels` their batches hold neither labels nor paths.
    """
    lists = (dataset.test, dataset.train_u, dataset.train_x)
    count = len({item.impath for items in lists for item in items})
    store = open_store(
        store_folder(cfg),
        f"{cfg.DATASET.NAME}-{dataset.domain}",
        count,
        setting_of(cfg, "STORE_GB"),
    )
    hide, workers = not uses_labels, cfg.DATALOADER.NUM_WORKERS
    upright = bool(setting_of(cfg, "UPRIGHT"))
    training = Images(
        dataset.train_x if uses_labels else dataset.train_u,
        build_transform(cfg, is_train=True),
        hide,
        store=store,
        plain=setting_of(cfg, "PLAIN_TRANSFORM"),
        upright=upright,
    )
    if store and len(training):
        warn_of_rest(store, count, training.decoded_bytes() * count // len(training), workers)
    transform = evaluation_transform(cfg)
    budget = Budget(device, setting_of(cfg, "DEVICE_GB"), workers)
    test, unlabelled = (
        EvaluationLoader(
            Images(items, transform, hide, store, keep_views=True, upright=upright), cfg, device,
            budget,
        )
        for items in (dataset.test, dataset.train_u)
    )
    return TrainingLoader(training, cfg, device, budget), test, unlabelled


@dataclass(frozen=True)
class Batch:
    """images: (name, why it cannot be read or None), in order; pixels: (readable images, height,
    width, 3), uint8, or None if none is readable."""

    images: list[tuple[Hashable, str | None]]
    pixels: Tensor | None

    @property
    def readable(self) -> list:
        return [name for name, why in self.images if why is None]

    def check(self) -> None:
        """Raise DataError if an image could not be read."""
        for name, why in self.images:
            if why is not None:
                raise DataError(f"{name}: {why}, though it could be read before")


def read_batches(
    images: Iterator[tuple[Hashable, object]], read: Callable[[object], Tensor], size: int,
    workers: int,
) -> Iterator[Batch]:
    """Yield batches of `size` of the images (name, image), in order; few are in memory at once.

    image: a path, or any argument of `read` whose str() begins its DataErrors. read: returns the
    pixels of an image, or raises DataError. workers: worker processes; 0: this process.
    """
    loader = DataLoader(
        _Files(read), batch_sampler=_groups(images, size), num_workers=workers,
        collate_fn=_together, generator=torch.Generator(),
    )
    yield from loader


class _Files(Dataset):
    """Images by name, for worker processes."""

    def __init__(self, read: Callable[[object], Tensor]):
        self.read = read

    def __getitem__(self, item: tuple) -> tuple:
        name, image = item
        try:
            return name, None, self.read(image)
        except DataError as error:
            return name, why_unreadable(image, error), None


def _groups(images: Iterator, size: int) -> Iterator[list]:
    while group := list(islice(images, size)):
        yield group


def _together(items: list[tuple]) -> Batch:
    pixels = [found for _, _, found in items if found is not None]
    return Batch([item[:2] for item in items], torch.stack(pixels) if pixels else None)
