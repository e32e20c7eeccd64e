"""New images for a model: a folder at any depth, a list of paths, shards or one image.

Neither paths nor pixels are all in memory at once: a folder is listed one sub-folder at a time, a
list is read line by line, and worker processes are only a few batches ahead.
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

Image = tuple[str, str | Member]  # (name in the file of predictions, path or shard member)


@dataclass(frozen=True)
class NewImages:
    """The images at `path`. Each iteration yields them in the same order: a folder's by path, a
    list's line by line. Relative paths in a list start from `root`."""

    path: str
    root: str = "."

    @property
    def sharded(self) -> bool:
        return names_shards(self.path)

    def __iter__(self) -> Iterator[Image]:
        return self.found(Unread())

    def found(self, unread: Unread) -> Iterator[Image]:
        """Yield the images. unread: counts all other files. Raises DataError if the path does not
        exist or a list cannot be read."""
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
        """Return a file's path below the folder; in shards, its name as it is."""
        return file if self.sharded else os.path.relpath(file, Path(self.path).expanduser())

    def count(self, unread: Unread) -> int | None:
        """Return the number of images; None for shards, which it would have to read. Raises
        DataError if there are none."""
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
