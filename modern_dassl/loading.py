"""Loaders whose batches depend only on the seed, not on worker processes or interruptions."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from modern_dassl import distributed


@contextmanager
def torch_state_of(seed: int) -> Iterator[None]:
    """Seed torch's random state on the CPU; restore it afterwards."""
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def random_state_of(seed: int) -> Iterator[None]:
    """Seed torch's, Python's and NumPy's random state on the CPU; restore it afterwards."""
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with torch_state_of(seed):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


class Seeded(Dataset):
    """A data set that draws item i in the random state of `seed` + i.

    seed: of the epoch, or negative for the global random state. It is in shared memory, because
    workers outlive an epoch. All other attributes are those of the wrapped data set.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset
        self.seed = torch.tensor(-1).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int):
        seed = int(self.seed)
        if seed < 0:
            return self.dataset[position]
        with random_state_of(seed + position):
            return self.dataset[position]

    def __getattr__(self, name: str):
        if name == "dataset":  # looked up while unpickling, before it is set
            raise AttributeError(name)
        return getattr(self.dataset, name)


class _Shares(BatchSampler):
    """This process's share of each batch."""

    def __iter__(self) -> Iterator[list[int]]:
        return map(distributed.batch_share, super().__iter__())


class EpochLoader(DataLoader):
    """A loader that draws one number per epoch from torch's global random state. The number
    determines the order of the images and their augmentations.

    dataset: has a `seed`, see Seeded.
    sampler: its `generator` or its `random` is seeded, if it has one.

    Under torchrun each process loads its share of each batch, at least one image; batch_size is the
    total of all processes. `shared_equally`: whether all shares of each batch have the same size.
    """

    def __init__(self, dataset, batch_size: int, sampler: Sampler, drop_last: bool, **options):
        self.order = sampler
        rest = 0 if drop_last else len(sampler) % batch_size
        sizes = {min(batch_size, len(sampler)), rest}
        self.shared_equally = not any(size % distributed.world_size() for size in sizes)
        if distributed.launched():
            options["batch_sampler"] = _Shares(sampler, batch_size, drop_last)
        else:
            options.update(batch_size=batch_size, sampler=sampler, drop_last=drop_last)
        options.setdefault("generator", torch.Generator())  # else workers advance the global state
        super().__init__(dataset, **options)

    def __iter__(self):
        self.begin_epoch()
        return super().__iter__()

    def begin_epoch(self) -> int:
        """Draw the epoch's seed, derive the order of the images from it, and return it."""
        seed = int(distributed.broadcast(self.dataset.seed.random_(2**62)))
        if isinstance(getattr(self.order, "generator", None), torch.Generator):
            self.order.generator.manual_seed(seed)
        elif hasattr(self.order, "random"):
            self.order.random = random.Random(seed)
        return seed
