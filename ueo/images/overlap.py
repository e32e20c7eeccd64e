"""Find tested images that are training images too: the same file under any name, or a copy."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from ueo.images.hashes import MISSING, UNREADABLE

Pair = tuple[str, str]  # path of a training image, path of a tested one


class Overlap(NamedTuple):
    """One pair for each tested image that is a training image too.

    files:  the same file, by path, symbolic link or hard link.
    copies: another file with the same bytes; None if contents were not compared.
    """

    files: list[Pair]
    copies: list[Pair] | None


def overlap(training: Sequence[str], tested: Sequence[str], contents: dict[str, str]) -> Overlap:
    """Compare two lists of paths of existing files. contents: {path: hash of the content}."""
    by_file = {_identity(path): path for path in training}
    by_content = {contents[path]: path for path in reversed(training)}
    files, copies = [], []
    for path in tested:
        if same := by_file.get(_identity(path)):
            files.append((same, path))
        elif contents[path] in by_content and contents[path] not in (MISSING, UNREADABLE):
            copies.append((by_content[contents[path]], path))
    return Overlap(files, copies)


def _identity(path: str) -> tuple[int, int]:
    facts = os.stat(path)
    return facts.st_dev, facts.st_ino
