"""Hide the labels and paths of a run's images from an unsupervised trainer.

Such a trainer gets an `UnlabelledDataset`: the same number of images, without labels, without paths
(a folder's name is a class) and without a way to list them. The real data set is in the run's
`GroundTruth`, for evaluations, records and ablations that set `reads_labels`.
"""

import os
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from dassl.data.datasets import DatasetBase
from torch import Tensor

from ueo.images.lists import NO_LABEL

SETS = ("unlabelled", "test")  # in the order of the log, whose parsers read the last lines


class GroundTruth:
    """The data set with labels. Only evaluations, records and oracles may use it."""

    def __init__(self, dataset: DatasetBase):
        self.dataset = dataset

    def items(self, name: str) -> list:
        """Return the Datum of each image of the "test" or the "unlabelled" set."""
        return self.dataset.test if name == "test" else self.dataset.train_u

    def labels(self, name: str) -> Tensor:
        """Return the labels of the "test" or the "unlabelled" set, (images,), int64; -1: none."""
        return torch.tensor([item.label for item in self.items(name)])

    def paths(self, name: str) -> np.ndarray:
        """Return the paths of the "test" or the "unlabelled" set, (images,), str, relative to the
        data set's folder."""
        root = self.dataset.root
        return np.array([os.path.relpath(item.impath, root) for item in self.items(name)])

    def classes(self) -> dict[str, np.ndarray]:
        """Return num_known: (), K, and class_names: (labels,), str, the K known names, then those
        of unknown classes; "" for a label that no image has."""
        items = chain(self.dataset.train_u, self.dataset.test)
        known = dict(enumerate(self.dataset.classnames))
        names = {**{item.label: item.classname for item in items}, **known}
        listed = [names.get(label, "") for label in range(max(names) + 1)]
        return {"num_known": np.array(len(known)), "class_names": np.array(listed)}

    def rows_in_test(self, items: list) -> list[int] | None:
        """Return the positions of `items` among the test images, or None unless all are there."""
        row = {item.impath: i for i, item in enumerate(self.dataset.test)}
        rows = [row.get(item.impath) for item in items]
        return None if None in rows else rows


class UnlabelledItem(NamedTuple):
    """An image in the form of Dassl's Datum that reveals only its domain."""

    domain: int
    impath: str = ""
    label: int = NO_LABEL
    classname: str = ""


class UnlabelledDataset:
    """The part of its data set that an unsupervised trainer may see, under Dassl's names.

    training: the items of `dataset` that it trains on.
    """

    def __init__(self, dataset: DatasetBase, training: list):
        self.title, self.domain = dataset.title, dataset.domain
        self.classnames, self.num_classes = list(dataset.classnames), dataset.num_classes
        self.lab2cname = dict(dataset.lab2cname)
        if hasattr(dataset, "template"):
            self.template = dataset.template
        self.train_x, self.train_u, self.test = (
            [UnlabelledItem(item.domain) for item in items]
            for items in (training, dataset.train_u, dataset.test)
        )
        self.val = None

    def __getattr__(self, name: str):
        raise AttributeError(
            f"{name!r} of the data set is hidden from an unsupervised trainer, which may know "
            f"{', '.join(sorted(vars(self)))}"
        )


class UnlabelledLoader:
    """Wrap a loader so that its batches have no labels and paths."""

    def __init__(self, loader):
        self._loader = loader
        self.batch_size = loader.batch_size
        self.sampler = range(len(loader.dataset))  # Dassl's own sampler holds the items
        self.shared_equally = getattr(loader, "shared_equally", True)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict]:
        for batch in self._loader:
            hidden = torch.full_like(batch["label"], NO_LABEL)
            yield {**batch, "label": hidden, "impath": [""] * len(hidden)}


def hide_labels(trainer, dataset: UnlabelledDataset, training, unlabelled, test) -> None:
    """Replace the data set and the loaders of `trainer` and of its data manager by these, which
    have no labels and paths."""
    trainer.dm.dataset = dataset
    for holder in (trainer, trainer.dm):
        holder.train_loader_x, holder.train_loader_u = training, unlabelled
        holder.test_loader, holder.val_loader = test, None
