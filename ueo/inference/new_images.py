"""New images for a model: a folder at any depth, a list of paths or one image, read in batches.

Neither their paths nor their pixels are held all at once: a folder is listed one sub-folder at a
time, a list is read line by line, and loaders' workers are a few batches ahead.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ueo.errors import DataError
from ueo.images.decoding import is_image_name
from ueo.images.folders import Unread, each_image_below, on_disk
from ueo.images.lists import listed_paths
from ueo.images.unreadable import why_unreadable

Image = tuple[str, str]  # its name in the file of predictions, its path


@dataclass(frozen=True)
class NewImages:
    """Those at `path`, as often as they are iterated over, in the same order: of a folder by their
    paths below it, of a list line by line, with relative paths from `root` on."""

    path: str
    root: str = "."

    def __iter__(self) -> Iterator[Image]:
        return self.found(Unread())

    def found(self, unread: Unread) -> Iterator[Image]:
        """The images. unread: counts what else is there. Raises DataError for a path that is not
        there, or a list that cannot be read."""
        place = Path(self.path).expanduser()
        if place.is_dir():
            for image in each_image_below(place, unread):
                yield self.name_of(image), image
        elif not place.exists():
            raise DataError(f"--path {self.path}: does not exist")
        elif is_image_name(place.name):
            yield self.path, str(place)
        else:
            for line in listed_paths(place):
                image = os.path.join(self.root, line)
                yield line, on_disk(image) or image

    def name_of(self, file: str) -> str:
        """What a file below the folder is called."""
        return os.path.relpath(file, Path(self.path).expanduser())

    def count(self, unread: Unread) -> int:
        """How many there are. Raises DataError for none."""
        number = sum(1 for _ in self.found(unread))
        if not number:
            instead = f", only {unread}" if unread else ""
            raise DataError(f"--path {self.path}: holds no image{instead}")
        return number


@dataclass(frozen=True)
class Batch:
    """images: (name, why it could not be read or None), in order; pixels: (readable ones, height,
    width, 3), uint8, or None where there is none."""

    images: list[tuple[str, str | None]]
    pixels: Tensor | None

    @property
    def readable(self) -> list[str]:
        return [name for name, why in self.images if why is None]


def read_batches(
    images: Iterator[Image], read: Callable[[str], Tensor], size: int, workers: int
) -> Iterator[Batch]:
    """Batches of `size` images in their order. read: the pixels of the image at a path, DataError
    for a file that cannot be read; workers: processes that do so, 0 for this one."""
    loader = DataLoader(
        _Files(read), batch_sampler=_groups(images, size), num_workers=workers,
        collate_fn=_together, generator=torch.Generator(),
    )
    yield from loader


class _Files(Dataset):
    """Images by name and path: what a worker process reads."""

    def __init__(self, read: Callable[[str], Tensor]):
        self.read = read

    def __getitem__(self, image: Image) -> tuple[str, str | None, Tensor | None]:
        name, path = image
        try:
            return name, None, self.read(path)
        except DataError as error:
            return name, why_unreadable(path, error), None


def _groups(images: Iterator[Image], size: int) -> Iterator[list[Image]]:
    while group := list(islice(images, size)):
        yield group


def _together(items: list[tuple]) -> Batch:
    pixels = [found for _, _, found in items if found is not None]
    return Batch([item[:2] for item in items], torch.stack(pixels) if pixels else None)
