"""What the first pass over shards has found, kept in files: of each shard the names of its images,
what is left out, and what the frozen image encoder gives of each image.

An image's key leads to its row. Files are mapped into memory while their shard is read, so a
million images take no more than a thousand.
"""

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ueo.errors import ConfigError, DataError, first_line
from ueo.files import atomic_path, file_version, read_json, write_json
from ueo.images.shards.listing import Shard

AGAIN = "remove it and run again"


class Table(NamedTuple):
    """Of one shard. names: of its images, key and suffix, in their order; features: (images,
    embedding), fp32; skipped: (name, why) of what is left out."""

    names: list[str]
    features: np.ndarray
    skipped: list[tuple[str, str]]


class Tables:
    """Those of `shards`, in `folder`. key: what features depend on besides the shards."""

    def __init__(self, folder: Path, shards: list[Shard], key: str):
        self.folder, self.shards = folder, shards
        self.files = [folder / _digest(shard, key) for shard in shards]

    def missing(self, among: list[int]) -> list[int]:
        """Those of these shards that have no table yet."""
        return [i for i in among if not self._facts(i).is_file()]

    def write(self, shard: int, table: Table) -> None:
        """Whole or not at all."""
        try:
            with atomic_path(self._features(shard)) as temporary:
                np.save(temporary, table.features)
            write_json(self._facts(shard), {"url": self.shards[shard].url, "names": table.names,
                                            "skipped": table.skipped})
        except OSError as error:
            reason = error.strerror or first_line(error)  # NumPy gives a short write no strerror
            raise ConfigError(f"{self.folder}: features cannot be kept ({reason}); "
                              "DATASET.STORE names another folder") from error

    def read(self, shard: int) -> Table:
        """Raises DataError for one that is missing or damaged."""
        try:
            facts = read_json(self._facts(shard), dict, AGAIN)
            features = np.load(self._features(shard), mmap_mode="r", allow_pickle=False)
            names, skipped = facts["names"], [tuple(pair) for pair in facts["skipped"]]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{self._facts(shard)}: damaged ({error}); {AGAIN}") from error
        if len(names) != len(features):
            raise DataError(f"{self._facts(shard)}: does not fit its features; {AGAIN}")
        return Table(names, features, skipped)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Images of each shard, once all have a table."""
        return tuple(len(self.read(i).names) for i in range(len(self.shards)))

    def each(self, what: Callable[[Shard, Table], list]) -> list:
        """The items of what(shard, table) of every shard, in their order."""
        pairs = ((shard, self.read(i)) for i, shard in enumerate(self.shards))
        return [item for shard, table in pairs for item in what(shard, table)]

    def _facts(self, shard: int) -> Path:
        return self.files[shard].with_suffix(".json")

    def _features(self, shard: int) -> Path:
        return self.files[shard].with_suffix(".npy")


def _digest(shard: Shard, key: str) -> str:
    """Another one where a local shard was changed. One at an address is known by that alone, a
    command by its words and the folder that it runs in."""
    if shard.path:
        known = str(shard.path.absolute()), file_version(shard.path)
    elif shard.url.startswith("pipe:"):
        known = str(Path.cwd()), shard.url
    else:
        known = shard.url
    return hashlib.blake2b(f"{known} {key}".encode(errors="surrogateescape"),
                           digest_size=16).hexdigest()
