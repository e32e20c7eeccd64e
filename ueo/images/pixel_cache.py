"""A cache of decoded images, shared by all runs and processes of a domain, within a budget.

The first process that needs an image decodes it; later reads come from the memory-mapped file.
Images that exceed the budget are decoded each time, as without a cache.

A store has two files: the pixels of all images, and an index, a hash table of rows (key, offset,
height and width, checksum). Further arrays have a file each. A writer reserves a row under a lock,
writes the pixels and sets the checksum last: readers never see half an image, even after a crash.
"""

import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import PIL

from ueo.errors import DataError
from ueo.files import atomic_path, read_arrays
from ueo.settings.machine_share import name_in
from ueo.temporaries import fcntl, locked

KEY, OFFSET, SHAPE, CHECK = range(4)  # columns of a row; an empty row holds zeros
USED, COUNT = 0, 1  # columns of the first row: bytes reserved, rows taken
ROW = 32  # bytes
CHECKED = 1 << 32  # distinguishes a checksum of zero from none
GIGABYTE = 10**9


class PixelStore:
    """Images by key in <file>.index and <file>.pixels; budget: bytes for all stores of a folder."""

    def __init__(self, file: Path, rows: int, budget: int):
        self.file, self.rows, self.budget = Path(file), rows, budget
        self.lock = self.file.parent / "lock"
        self.full = False
        self.trusted: set[int] = set()  # rows whose checksum was verified
        self.lock.touch()
        with locked(self.lock):
            self._open()

    def __reduce__(self):
        return PixelStore, (self.file, self.rows, self.budget)  # pickle would copy the memory map

    def _open(self) -> None:
        self.count = open(self.lock, "w+b", buffering=0)  # noqa: SIM115  (see _room)
        index = self.file.with_suffix(".index")
        size = (self.rows + 1) * ROW
        if not index.is_file() or index.stat().st_size != size:
            self.file.with_suffix(".pixels").write_bytes(b"")
            with atomic_path(index) as temporary:
                os.truncate(temporary, size)
        os.utime(index)
        self.index = np.memmap(index, np.uint64, "r+", shape=(self.rows + 1, 4))
        self.in_use = open(index)  # noqa: SIM115  (held as long as the store)
        fcntl.flock(self.in_use, fcntl.LOCK_SH)
        self.writing = open(self.file.with_suffix(".pixels"), "r+b", buffering=0)
        self.pixels = np.zeros(0, np.uint8)

    def get(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the pixels of `key`, (height, width, 3), uint8, from the cache or from `make`. Do
        not write to them."""
        row = self._find(number := _number(key))
        kept = self._read(row)
        if kept is None:
            kept = make()
            self._keep(row, number, kept)
        return kept

    def shape(self, key: str) -> tuple[int, int] | None:
        """Return height and width of the cached pixels of `key`, or None."""
        _, _, shape, check = self.index[self._find(_number(key))].tolist()
        return divmod(shape, 1 << 32) if check else None

    def array(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Like `get`, for an array of any shape and type, in a file of its own."""
        digest = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8).hexdigest()
        path = self.file.with_name(f"{self.file.name}-{digest}.npz")
        with suppress(DataError):
            return read_arrays(path, "", ("array",))["array"]
        array = make()
        with locked(self.lock):
            if self._room(array.nbytes + 1024):  # the file's overhead included
                with suppress(OSError), atomic_path(path) as temporary:
                    np.savez(temporary, array=array)
        return array

    def _find(self, number: int) -> int:
        """Return the row of a key, or the empty row where it belongs."""
        row = number % self.rows + 1
        while int(self.index[row, KEY]) not in (0, number):
            row = row % self.rows + 1
        return row

    def _read(self, row: int) -> np.ndarray | None:
        _, offset, shape, check = self.index[row].tolist()
        if not check:
            return None
        height, width = divmod(shape, 1 << 32)
        end = offset + height * width * 3
        if end > len(self.pixels):  # grown since it was mapped
            if end > os.fstat(self.writing.fileno()).st_size:
                return None
            self.pixels = np.memmap(self.file.with_suffix(".pixels"), np.uint8, "r")
        pixels = self.pixels[offset:end]
        if row not in self.trusted:
            if zlib.crc32(pixels) | CHECKED != check:
                return None
            self.trusted.add(row)
        return pixels.reshape(height, width, 3)

    def _keep(self, row: int, number: int, pixels: np.ndarray) -> None:
        pixels = np.ascontiguousarray(pixels)
        if self.full or not self._reserve(number, pixels):
            return
        row = self._find(number)
        try:
            written = os.pwrite(self.writing.fileno(), pixels, int(self.index[row, OFFSET]))
        except OSError:  # the disk is full: go on without the cache
            written = 0
        if written == pixels.nbytes:
            self.index[row, CHECK] = zlib.crc32(pixels) | CHECKED
            self.trusted.add(row)
        else:
            self.full = True

    def _reserve(self, number: int, pixels: np.ndarray) -> bool:
        """Reserve a row for the pixels, unless another process has; False if there is no room."""
        with locked(self.lock):
            row = self._find(number)
            if int(self.index[row, KEY]) == number:
                return True
            used, taken = self.index[0, USED], self.index[0, COUNT]
            if 2 * int(taken) >= self.rows or not self._room(pixels.nbytes):
                self.full = True
                return False
            self.index[row, SHAPE] = (pixels.shape[0] << 32) + pixels.shape[1]
            self.index[row, OFFSET] = used
            self.index[row, KEY] = number
            self.index[0, USED], self.index[0, COUNT] = used + pixels.nbytes, taken + 1
        return True

    def _room(self, size: int) -> bool:
        """Reserve `size` bytes of the budget, if need be by removing the least recently used stores
        of other domains; False if they do not fit. Because counting all files for every image is
        slow, the lock file holds the running total; opening a store clears it."""
        held = int.from_bytes(os.pread(self.count.fileno(), 8, 0), "little")
        if not held or held + size > self.budget:
            held = self._counted(self.budget - size)
        fits = held + size <= self.budget
        with suppress(OSError):
            os.pwrite(self.count.fileno(), (held + size * fits).to_bytes(8, "little"), 0)
        return fits

    def _counted(self, most: int) -> int:
        """Return the bytes of all stores, evicting the least recently opened above `most`."""
        stores = {file: _used(file) for file in self.file.parent.glob("*.index")}
        for file in sorted(stores, key=_last_opened):
            if sum(stores.values()) <= most:
                break
            if file.stem != self.file.name and _remove_unused(file):
                del stores[file]
        return sum(stores.values())


def _number(key: str) -> int:
    """Return the number of a key in the index, never 0."""
    digest = hashlib.blake2b(key.encode(errors="surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _used(index: Path) -> int:
    """Return the bytes of the store's pixels, index and arrays."""
    with suppress(OSError, IndexError):
        pixels = int(np.fromfile(index, np.uint64, count=1)[0])
        return pixels + sum(file.stat().st_size for file in (index, *_arrays(index)))
    return 0


def _arrays(index: Path) -> list[Path]:
    return list(index.parent.glob(f"{index.stem}-*.npz"))


def _last_opened(index: Path) -> float:
    with suppress(OSError):
        return index.stat().st_mtime
    return 0.0


def _remove_unused(index: Path) -> bool:
    """Remove a store unless a process has it open."""
    with suppress(OSError), open(index) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for other in (index.with_suffix(".pixels"), *_arrays(index)):
            other.unlink(missing_ok=True)
        index.unlink()
        return True
    return False


def open_store(
    folder: Path | None, name: str, images: int, gigabytes: float | None
) -> PixelStore | None:
    """Open the store `name` in `folder` for a domain of `images` images; None if there can be none.
    Each version of Pillow has its own store, since it may decode or resize differently; so has each
    machine, since memory maps are not coherent between machines.

    gigabytes: budget of all stores of the folder; 0: no store; None: see `derived_budget`.
    """
    if folder is None or gigabytes == 0 or fcntl is None:
        return None
    rows = max(1024, 1 << (8 * images - 1).bit_length())  # two keys an image, a quarter full
    try:
        folder.mkdir(parents=True, exist_ok=True)
        budget = derived_budget(folder) if gigabytes is None else int(gigabytes * GIGABYTE)
        if budget < (rows + 1) * ROW:
            print(f"Decoded images are not cached: {budget} bytes are too few for DATASET.STORE_GB")
            return None
        called = "-".join(filter(None, (name_in(folder), name, PIL.__version__, str(rows))))
        called = re.sub(r"[^\w-]", "_", called)
        store = PixelStore(folder / called, rows, budget)
    except OSError as error:
        print(f"Decoded images are not cached: {folder}: {error.strerror}; see DATASET.STORE")
        return None
    print(f"Decoded images are cached in {folder}, at most {budget / GIGABYTE:.1f} GB")
    return store


def warn_of_rest(store: PixelStore, images: int, size: int, workers: int) -> None:
    """Print a warning if `images` images, of `size` bytes decoded, do not fit into the store."""
    if size > store.budget:
        free = shutil.disk_usage(store.file.parent).free
        print(f"About {images - images * store.budget // size:,} of {images:,} images do not fit "
              f"DATASET.STORE_GB ({store.budget / GIGABYTE:.1f} of {size / GIGABYTE:.1f} GB) and "
              f"are decoded whenever they are needed, by {workers} processes "
              f"(DATALOADER.NUM_WORKERS); the disk has {free / GIGABYTE:.1f} GB free")


def derived_budget(folder: Path) -> int:
    """Return the budget of a folder's stores: half of memory or of free disk space, the lesser."""
    held = sum(_used(file) for file in folder.glob("*.index"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(memory, shutil.disk_usage(folder).free + held) // 2
