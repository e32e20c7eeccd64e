"""Bring a published data set below the data root, asked or unasked.

kind: a class of datasets/published.py, with its `title`, `terms`, `size`, `pieces` and where they
belong; or any other data set, which has `prepare(root)` alone.
"""

import sys
from pathlib import Path

from ueo.errors import DataError
from ueo.fetch.download import Piece, download, is_by_hand


def is_published(kind: type) -> bool:
    """Whether parts of the data set can be fetched."""
    return hasattr(kind, "missing")


def fetch(kind: type, root: str, pieces: list[Piece]) -> None:
    """Bring `pieces` below the data root; the terms are shown when nothing was fetched before."""
    folder = _folder(kind, root)
    if not (folder / "download.json").exists():
        print(kind.terms)
    download(kind.title, pieces, folder, is_there=lambda piece: kind.is_there(root, piece))


def ensure(kind: type, root: str, domains: set[str], unasked: bool) -> None:
    """Bring the data of `domains` into `root` when it is missing: without a question when `unasked`
    or when its archives were put there by hand; else after one, where somebody can answer.

    Raises DataError when it stays missing.
    """
    if not is_published(kind):
        kind.prepare(root)
        return
    pieces = kind.missing(root, domains)
    if not pieces:
        kind.locate(root)  # what has no pieces may be missing all the same
        return
    folder = _folder(kind, root)
    if not unasked and not all(is_by_hand(piece, folder) for piece in pieces):
        if not sys.stdin.isatty():
            raise kind.not_there(root)
        names = ", ".join(piece.name for piece in pieces)
        question = f"{kind.title} ({names}) is not in {root}; fetch it, {kind.size}? [y/N] "
        if _answer(question) not in ("y", "Y", "yes"):
            raise kind.not_there(root)
    fetch(kind, root, pieces)


def absent(kind: type, root: str, domains: set[str]) -> str:
    """What `ensure` would fetch or miss, in words; "" where all of it is in `root`, and of a data
    set that brings itself."""
    if sum("prepare" in vars(base) for base in kind.__mro__) > 1:  # UFTDataset's does nothing
        return ""
    try:
        if is_published(kind) and kind.missing(root, domains):
            raise kind.not_there(root)
        kind.locate(root)
    except DataError as error:
        return str(error)
    return ""


def _folder(kind: type, root: str) -> Path:
    """Where the data set is, or will be."""
    return kind.find(root) or Path(root).expanduser() / kind.dataset_dir


def _answer(question: str) -> str:
    """What is typed, "" at the end of the input."""
    try:
        return input(question)
    except EOFError:
        return ""
