"""Make shards of a folder of images, reproducibly to the byte."""

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ueo.errors import ConfigError, DataError
from ueo.files import check_writable, writing
from ueo.images.folders import Unread, images_below
from ueo.temporaries import temporary_folder

MEGABYTE = 10**6
DIGITS = 6  # of a shard's number
DOT = "%2E"  # in a key, which ends at the first dot


def make_shards(folder: Path, output: Path, size: int, unread: Unread) -> tuple[list[Path], int]:
    """Write the images below `folder` into tar files in the new folder `output`, atomically.
    Returns (the shards, number of images).

    Files are copied byte for byte, ordered by a hash of their names, so that classes are mixed.
    size: of a shard's images in megabytes; a larger image gets a shard of its own. unread: counts
    what else is in the folder. Raises ConfigError or DataError.
    """
    if output.exists():
        raise ConfigError(f"--output {output}: already exists; remove it, or name another")
    images = images_below(folder, unread)
    if not images:
        raise DataError(f"{folder}: holds no image{f', only {unread}' if unread else ''}")
    names = {os.path.relpath(path, folder).replace(os.sep, "/"): path for path in images}
    check_writable(output.parent, "--output")
    with temporary_folder(output.parent, f".{output.name}-") as temporary:
        made = temporary / "shards"
        made.mkdir()
        for number, group in enumerate(_groups(_drawn(keyed(names)), size * MEGABYTE)):
            _write(made / f"{number:0{DIGITS}}.tar", group)
        shards = sorted(file.name for file in made.iterdir())
        made.rename(output)
    return [output / name for name in shards], len(images)


def keyed(names: dict[str, str]) -> dict[str, str]:
    """Turn {name below the folder: path} into {name in a shard: path}. A key ends at the first dot,
    so other dots become DOT. If two files differ only in their suffix, the second key includes it.
    Raises DataError for a duplicate key."""
    found, keys = {}, set()
    for name in sorted(names):
        folder, _, last = name.rpartition("/")
        stem, suffix = os.path.splitext(last)
        key = f"{folder}/{stem.replace('.', DOT)}".lstrip("/")
        if key in keys:
            key += DOT + suffix[1:]
        if key in keys:
            raise DataError(f"{names[name]}: has the key {key}, which another image has; rename it")
        keys.add(key)
        found[key + suffix] = names[name]
    return found


def _drawn(files: dict[str, str]) -> list[tuple[str, str]]:
    """Return (name, path), ordered by a hash of the name."""
    def rank(item: tuple[str, str]) -> bytes:
        return hashlib.blake2b(item[0].encode(errors="surrogateescape"), digest_size=16).digest()

    return sorted(files.items(), key=rank)


def _groups(files: Iterable[tuple[str, str]], most: int) -> Iterator[list[tuple[str, str]]]:
    """Yield groups of consecutive files of at most `most` bytes in total, or of one file."""
    group, held = [], 0
    for name, path in files:
        size = _size(path)
        if group and held + size > most:
            yield group
            group, held = [], 0
        group.append((name, path))
        held += size
    yield group


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, files: list[tuple[str, str]]) -> None:
    with writing(path), tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, file in files:
            try:
                data = open(file, "rb")
            except OSError as error:
                raise DataError(f"{file}: cannot be read ({error.strerror})") from error
            with data:
                header = tarfile.TarInfo(name)  # no owner, no time, mode 644
                header.size = os.fstat(data.fileno()).st_size
                archive.addfile(header, data)
