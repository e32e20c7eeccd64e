"""Fetch a published data set into the data root, with or without asking the user.

kind: a class of datasets/published.py, which has `title`, `terms`, `size`, `pieces` and their
places; or any other data set, which has only `prepare(root)`.
"""

import sys
from pathlib import Path

from ueo.errors import DataError
from ueo.fetch.download import Piece, download, is_by_hand


def is_published(kind: type) -> bool:
    """Whether parts of the data set can be fetched."""
    return hasattr(kind, "missing")


def fetch(kind: type, root: str, pieces: list[Piece]) -> None:
    """Fetch `pieces` into the data root. The first time, print the terms of use."""
    folder = _folder(kind, root)
    if not (folder / "download.json").exists():
        print(kind.terms)
    download(kind.title, pieces, folder, is_there=lambda piece: kind.is_there(root, piece))


def ensure(kind: type, root: str, domains: set[str], unasked: bool) -> None:
    """Fetch the data of `domains` into `root` if it is missing. Ask first, on a terminal, unless
    `unasked` is true or the archives were put there by hand.

    Raises DataError if the data stays missing.
    """
    if not is_published(kind):
        kind.prepare(root)
        return
    pieces = kind.missing(root, domains)
    if not pieces:
        kind.locate(root)  # raises if the data set has no pieces and is missing
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
    """Describe the data that `ensure` would fetch or miss; "" if all is in `root` or the data set
    prepares itself."""
    if sum("prepare" in vars(base) for base in kind.__mro__) > 1:  # overrides UFTDataset's no-op
        return ""
    try:
        if is_published(kind) and kind.missing(root, domains):
            raise kind.not_there(root)
        kind.locate(root)
    except DataError as error:
        return str(error)
    return ""


def _folder(kind: type, root: str) -> Path:
    """Return the folder where the data set is or will be."""
    return kind.find(root) or Path(root).expanduser() / kind.dataset_dir


def _answer(question: str) -> str:
    """Return the user's input, "" at its end."""
    try:
        return input(question)
    except EOFError:
        return ""
