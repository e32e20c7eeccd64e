"""New images for a model: a folder at any depth, a list of paths, shards or one image, in batches.

Neither their paths nor their pixels are held all at once: a folder is listed one sub-folder at a
time, a list is read line by line, and loaders' workers are a few batches ahead.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ueo.errors import DataError, from_here
from ueo.images.decoding import is_image_name
from ueo.images.folders import Unread, each_image_below, on_disk
from ueo.images.lists import listed_paths
from ueo.images.shards.listing import list_of, names_shards
from ueo.images.shards.reading import Member, images_of

Image = tuple[str, str | Member]  # its name in the file of predictions, its path or itself


@dataclass(frozen=True)
class NewImages:
    """Those at `path`, as often as they are iterated over, in the same order: of a folder by their
    paths below it, of a list line by line, with relative paths from `root` on."""

    path: str
    root: str = "."

    @property
    def sharded(self) -> bool:
        return names_shards(self.path)

    def __iter__(self) -> Iterator[Image]:
        return self.found(Unread())

    def found(self, unread: Unread) -> Iterator[Image]:
        """The images. unread: counts what else is there. Raises DataError for a path that is not
        there, or a list that cannot be read."""
        place = Path(self.path).expanduser()
        if self.sharded:
            yield from _in_shards(self.path, unread)
        elif place.is_dir():
            for image in each_image_below(place, unread):
                yield self.name_of(image), image
        elif not place.exists():
            raise DataError(f"--path {self.path}: does not exist{from_here(self.path)}")
        elif is_image_name(place.name):
            yield self.path, str(place)
        else:
            for line in listed_paths(place):
                image = os.path.join(self.root, line)
                yield line, on_disk(image) or image

    def name_of(self, file: str) -> str:
        """What a file below the folder is called; what is in a shard has its name."""
        return file if self.sharded else os.path.relpath(file, Path(self.path).expanduser())

    def count(self, unread: Unread) -> int | None:
        """How many there are; None of shards, which would have to be read. Raises DataError for
        none."""
        if self.sharded:
            list_of(self.path)
            return None
        number = sum(1 for _ in self.found(unread))
        if not number:
            instead = f", only {unread}" if unread else ""
            raise DataError(f"--path {self.path}: holds no image{instead}")
        return number


def _in_shards(path: str, unread: Unread) -> Iterator[Image]:
    for shard in list_of(path):
        def skip(name: str, why: str, shard=shard) -> None:
            unread.note(shard.name_of(name), why)

        for member in images_of(shard, skip):
            yield shard.name_of(member.name), member
