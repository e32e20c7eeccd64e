"""Which tested images are training images too: the same file by whatever name, or a copy of it."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

TAIL = 4096  # bytes that are compared before whole files are
Pair = tuple[str, str]  # path of a training image, path of a tested one


class Overlap(NamedTuple):
    """One pair for each tested image that is a training image too.

    files:  the same file, by path, link or hard link.
    copies: another file with the same bytes; None where these were not compared.
    """

    files: list[Pair]
    copies: list[Pair] | None


def overlap(training: Iterable[str], tested: Iterable[str], most: int | None = None) -> Overlap:
    """Of two lists of paths of existing files.

    most: files that may be read for copies, None for any number; only files of equal size are.
    """
    facts = {path: os.stat(path) for path in {*training, *tested}}
    by_file = {(facts[p].st_dev, facts[p].st_ino): p for p in training}
    by_size = defaultdict(list)
    for path in by_file.values():
        by_size[facts[path].st_size].append(path)
    files, rest = [], []
    for path in tested:
        same = by_file.get((facts[path].st_dev, facts[path].st_ino))
        if same is not None:
            files.append((same, path))
        elif facts[path].st_size in by_size:
            rest.append(path)
    sizes = {facts[path].st_size for path in rest}
    candidates = [path for size in sizes for path in by_size[size]]
    if most is not None and len(candidates) + len(rest) > most:
        return Overlap(files, None)
    return Overlap(files, _copies(candidates, rest, facts))


def _copies(candidates: list[str], rest: list[str], facts: dict) -> list[Pair]:
    tails = defaultdict(list)
    for path in candidates:
        tails[facts[path].st_size, _tail(path)].append(path)
    pairs, known = [], {}
    for path in rest:
        for other in tails.get((facts[path].st_size, _tail(path)), []):
            if _digest(path, known) == _digest(other, known):
                pairs.append((other, path))
                break
    return pairs


def _tail(path: str) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(os.fstat(file.fileno()).st_size - TAIL, 0))
        return file.read(TAIL)


def _digest(path: str, known: dict[str, bytes]) -> bytes:
    if path not in known:
        known[path] = hashlib.blake2b(Path(path).read_bytes()).digest()
    return known[path]
