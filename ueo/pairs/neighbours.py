"""Compute a file of features and search it exactly for nearest neighbours; it may exceed memory.

Features are rows of a .npy file. They are computed in blocks, so that an interrupted computation
can be resumed, and searched in blocks, to stay within a memory budget.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from ueo.errors import ConfigError
from ueo.files import write_json

QUERIES = 512  # queries that are compared with a block at once
FLOAT = 4  # bytes


def stored(path: Path, count: int, compute: Callable[[int, int], np.ndarray], block: int) -> Path:
    """Compute the .npy file `path` of `count` rows unless it exists; return `path`.

    compute: (start, stop) -> rows (stop - start, width), fp32. Until all rows are done, they are in
    `<name>.part`, and their number in `<name>.json`.
    """
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part, progress = path.with_suffix(".part"), path.with_suffix(".json")
    done = json.loads(progress.read_text()) if part.is_file() and progress.is_file() else 0
    for start in range(done, count, block):
        stop = min(start + block, count)
        rows = compute(start, stop)
        if start == 0:
            file = open_memmap(part, "w+", np.float32, (count, rows.shape[1]))
        else:
            file = np.load(part, mmap_mode="r+")
        file[start:stop] = rows
        file.flush()
        del file  # mapped pages count as used memory
        write_json(progress, stop)
    part.replace(path)
    progress.unlink()
    return path


def nearest(path: Path, queries: np.ndarray, count: int, memory: int
            ) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of a .npy file with the largest inner product with any query.

    path: (rows, width), fp32. queries: (queries, width). count: number of rows to find, capped at
    all. memory: limit in bytes. Returns (positions, similarities), each (count,), the most similar
    first; of equal rows, the earlier first. Raises ConfigError if `memory` is too small.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    mapped = np.load(path, mmap_mode="r")
    (total, width), offset = mapped.shape, mapped.offset
    size = min(_block_size(len(queries), width, count, memory), total)
    products = np.empty(size * min(len(queries), QUERIES), np.float32)
    best, positions = np.empty(0, np.float32), np.empty(0, np.int64)
    with open(path, "rb") as file:
        file.seek(offset)
        for start in range(0, total, size):
            # not from the map: the memory of mapped pages varies
            block = np.fromfile(file, np.float32, min(size, total - start) * width)
            found = _similarity(block.reshape(-1, width), queries, products)
            del block  # before the next one is read
            best = np.concatenate([best, found])
            positions = np.concatenate([positions, np.arange(start, start + len(found))])
            order = np.argsort(-best, kind="stable")[:count]
            best, positions = best[order], positions[order]
    return positions, best


def _similarity(block: np.ndarray, queries: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Return the largest inner product of each row with any query: (rows,). products: a buffer of
    rows * QUERIES."""
    found = np.full(len(block), -np.inf, np.float32)
    for start in range(0, len(queries), QUERIES):
        some = queries[start : start + QUERIES]
        room = products[: len(block) * len(some)].reshape(len(block), len(some))
        np.maximum(found, np.matmul(block, some.T, out=room).max(1), out=found)
    return found


def _block_size(queries: int, width: int, count: int, memory: int) -> int:
    """Return the number of rows of a block, such that the block, its products with some queries and
    the sorted results take 3/4 of `memory`. The rest is left for workspace of matrix products."""
    memory = memory * 3 // 4
    fixed = FLOAT * queries * width + 64 * count
    row = FLOAT * (width + min(queries, QUERIES)) + 64
    if memory < fixed + row:
        raise ConfigError(
            f"SEARCH_MEMORY: too few bytes for {queries} queries and {count} results; give "
            f"{(fixed + 1024 * row) * 4 // 3} or more"
        )
    return (memory - fixed) // row
