"""Read the images of a shard in a stream.

By WebDataset's rule, files whose names agree up to the first dot after the folder are one sample,
and that part of the name is its key. Every pass skips the same files for the same reasons.
"""

import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from ueo.errors import DataError
from ueo.images.decoding import is_image_name
from ueo.images.shards.listing import Shard, library

META = re.compile(r"__[^/]*__($|/)")  # webdataset's own files
CUT = "shard cut off"
BLOCK = 1 << 20


class Member(NamedTuple):
    """An image that is read but not decoded. name: key and suffix, "dog/1.jpg"."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


Skip = Callable[[str, str], None]  # called with (name, why) for everything that is skipped


def images_of(shard: Shard, skip: Skip = lambda name, why: None) -> Iterator[Member]:
    """Yield the images of a shard, in order, one for each sample.

    Skipped are samples without an image, repeated keys, files without a suffix, links, and all that
    follows damage in the archive. Raises DataError for a shard that cannot be opened or read to its
    end.
    """
    group, seen = library().tariterators.group_by_keys, set()

    def twice(error: Exception) -> bool:
        skip(str(error.args[0]).split(": duplicate")[0], "name twice")
        return True

    for sample in group(_files(shard, skip), handler=twice):
        key = sample["__key__"]
        suffix = next((s for s in sample if "." not in s and is_image_name(f"x.{s}")), None)
        if suffix is None or key in seen:
            skip(key, "key twice" if key in seen else "no image")
            continue
        seen.add(key)
        yield Member(f"{key}.{suffix}", sample[suffix])


def again(shard: Shard, names: list[str], start: int, stop: int) -> Iterator[tuple[int, Member]]:
    """Yield (row, image) for the rows start .. stop - 1 of a shard that was read before. names: of
    all its readable images. Raises DataError if the shard no longer holds them."""
    row, found = 0, images_of(shard)
    try:
        while row < stop:
            member = next(found, None)
            if member is None:
                raise DataError(f"{shard.url}: lacks {names[row]}, which it held when it was first "
                                "read; was it replaced? remove what is stored of it "
                                "(docs/streams.md) and the run's folder, and run again")
            if member.name == names[row]:
                if row >= start:
                    yield row, member
                row += 1
    finally:
        found.close()


class _Header(tarfile.TarInfo):
    """Sets `ended` of the archive when it reaches its end mark."""

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:
            archive.ended = True
            raise


def _files(shard: Shard, skip: Skip) -> Iterator[dict]:
    """Yield the files of a shard in the form that webdataset's functions take."""
    stream = _opened(shard)
    try:
        why = None
        try:
            archive = tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header)
            # an empty archive has ended already; Python 3.10 would fail to read on
            while not getattr(archive, "ended", False) and (header := archive.next()) is not None:
                archive.members = []  # tarfile would keep every header
                if header.islnk() or header.issym():
                    skip(header.name, "a link")
                elif header.isreg() and not META.match(header.name):
                    data = archive.extractfile(header).read()
                    if library().tariterators.base_plus_ext(header.name)[0] is None:
                        skip(header.name, "no suffix")
                    else:
                        yield {"fname": header.name, "data": data, "__url__": shard.url}
            if not getattr(archive, "ended", False):
                why = f"{CUT} (no end mark, or a damaged header)"
        except (tarfile.TarError, EOFError, zlib.error) as error:
            why = f"{CUT} ({error})"
        while stream.read(BLOCK):  # drain the stream, so that a command can finish
            pass
        stream.close()  # raises OSError if a command failed
        if why:
            skip("", why)
    except OSError as error:
        raise DataError(f"{shard.url}: cannot be read to its end ({_words(error)})") from error
    finally:
        _give_up(stream)


def _opened(shard: Shard):
    try:
        return open(shard.path, "rb") if shard.path else library().gopen(shard.url)
    except (OSError, ValueError) as error:
        raise DataError(f"{shard.url}: cannot be opened ({_words(error)})") from error


def _give_up(stream) -> None:
    """Close a stream that may not be at its end; kill its command first, which might run on."""
    if (process := getattr(stream, "proc", None)) and process.poll() is None:
        process.kill()
    with suppress(OSError):
        stream.close()


def _words(error: Exception) -> str:
    status = re.search(r": (exit -?\d+) \(read\)", str(error))
    return status[1] if status else getattr(error, "strerror", None) or str(error)
