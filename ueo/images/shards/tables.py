"""Results of the first pass over shards, in files: for each shard the names of its images, what was
skipped, and the frozen encoder's features of each image.

Files are memory-mapped only while their shard is read, so memory does not grow with the number of
images.
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
    """The table of one shard. names: of its images, key and suffix, in order; features: (images,
    embedding), fp32; skipped: (name, why)."""

    names: list[str]
    features: np.ndarray
    skipped: list[tuple[str, str]]


class Tables:
    """The tables of `shards`, in `folder`. key: what features depend on besides the shards."""

    def __init__(self, folder: Path, shards: list[Shard], key: str):
        self.folder, self.shards = folder, shards
        self.files = [folder / _digest(shard, key) for shard in shards]

    def missing(self, among: list[int]) -> list[int]:
        """Return the shards among these that have no table yet."""
        return [i for i in among if not self._facts(i).is_file()]

    def write(self, shard: int, table: Table) -> None:
        """Write the table of a shard atomically. Raises ConfigError if it cannot be written."""
        try:
            with atomic_path(self._features(shard)) as temporary:
                np.save(temporary, table.features)
            write_json(self._facts(shard), {"url": self.shards[shard].url, "names": table.names,
                                            "skipped": table.skipped})
        except OSError as error:
            reason = error.strerror or first_line(error)  # NumPy's short write has no strerror
            raise ConfigError(f"{self.folder}: features cannot be kept ({reason}); "
                              "DATASET.STORE names another folder") from error

    def read(self, shard: int) -> Table:
        """Read the table of a shard. Raises DataError if it is missing or damaged."""
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
        """Number of images of each shard, once all have a table."""
        return tuple(len(self.read(i).names) for i in range(len(self.shards)))

    def each(self, what: Callable[[Shard, Table], list]) -> list:
        """Concatenate the lists what(shard, table) of all shards, in order."""
        pairs = ((shard, self.read(i)) for i, shard in enumerate(self.shards))
        return [item for shard, table in pairs for item in what(shard, table)]

    def _facts(self, shard: int) -> Path:
        return self.files[shard].with_suffix(".json")

    def _features(self, shard: int) -> Path:
        return self.files[shard].with_suffix(".npy")


def _digest(shard: Shard, key: str) -> str:
    """Hash a shard's identity: of a local file its path and version, of a command its text and
    working folder, of a URL the URL alone."""
    if shard.path:
        known = str(shard.path.absolute()), file_version(shard.path)
    elif shard.url.startswith("pipe:"):
        known = str(Path.cwd()), shard.url
    else:
        known = shard.url
    return hashlib.blake2b(f"{known} {key}".encode(errors="surrogateescape"),
                           digest_size=16).hexdigest()
