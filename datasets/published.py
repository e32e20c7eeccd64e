"""Data sets that others published: found under any of their names, fetched, compared with what is
known of the published version."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ueo.datasets.base import UFTDataset
from ueo.errors import DataError
from ueo.fetch.download import Piece
from ueo.images.folders import Unread, find_folder, find_root, subfolders
from ueo.images.unreadable import damaged
from ueo.text import shown

SHOWN = 6  # differences of a domain


@dataclass
class Comparison:
    """A domain beside its published version, in words: what was found there, what differs, what was
    compared and what was not. known: whether anything is known of that version."""

    found: str
    differs: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unread: Unread = field(default_factory=Unread)
    known: bool = True

    def numbers(self, found: int, published: int, what: str) -> None:
        """Compare two numbers of `what`, which begins with a plural."""
        if found != published:
            what = re.sub("s( |$)", r"\1", what, count=1) if found == 1 else what
            self.differs.append(f"{found} {what}, the published version has {published}")

    def files(self, paths: list[str], deep: bool) -> None:
        """Look for files of no bytes; with `deep` also decode each."""
        empty = [path for path in paths if _size(path) == 0]
        self._bad(empty, "of zero bytes")
        self.compared.append("no file is empty")
        if deep:
            self._bad(sorted({*damaged(paths)} - {*empty}), "that cannot be decoded")
            self.compared.append("each image decodes")
        else:
            self.left.append("whether each image decodes (--deep)")

    def _bad(self, paths: list[str], what: str) -> None:
        if paths:
            number = f"{len(paths)} image{'s' * (len(paths) > 1)}"
            self.differs.append(f"{number} {what}, first {shown(paths[0])}")

    def line(self) -> str:
        """All of it in one line."""
        more = [f"{len(self.differs) - SHOWN} more differences"] * (len(self.differs) > SHOWN)
        good = f"{self.found}{', as published' * self.known}"
        parts = ["; ".join(self.differs[:SHOWN] + more) or good]
        parts.append(f"compared: {', '.join(self.compared)}")
        if self.left:
            parts.append(f"not compared: {', '.join(self.left)}")
        if self.unread:
            parts.append(f"ignored: {self.unread}")
        return "; ".join(parts)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # such as a link to nothing
        return 0


class PublishedDataset(UFTDataset):
    """A subclass sets, besides what UFTDataset asks for:

    folder_names: further names of its folder below the data root.
    pieces:       what to download, if anything; one called like a domain brings that domain.
    size:         of the download, in words.
    terms:        the conditions of those who made the data set, shown before a download.
    """

    published_split = True
    folder_names: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()
    size: str = ""
    terms: str = ""

    def setup(self, root: Path) -> None:
        pass

    @classmethod
    def find(cls, data_root: str) -> Path | None:
        """The folder that holds the domains' folders, or None."""
        names = [n for d in cls.domains for n in (d, *cls.domain_names.get(d, ()))]
        base = Path(data_root).expanduser()
        return find_root(base, (cls.dataset_dir, *cls.folder_names), names)

    @classmethod
    def locate(cls, data_root: str) -> Path:
        found = cls.find(data_root)
        if found is None:
            raise cls.not_there(data_root)
        return found

    @classmethod
    def not_there(cls, data_root: str) -> DataError:
        """What to say when the data set, or a part of it, is not in the data root."""
        advice = "put it there by hand"
        if cls.pieces:
            command = f"bash scripts/data.sh download {cls.dataset_dir} --root {data_root}"
            advice = f"fetch it with `{command}`"
        return DataError(
            f"{Path(data_root) / cls.dataset_dir}: {cls.title} is not there or incomplete; "
            f"{advice}, or name the folder that holds {cls.dataset_dir}/ with --root"
        )

    @classmethod
    def domain_folder(cls, root: Path, domain: str) -> Path:
        """The folder of a domain in any spelling of its name. Raises DataError without one."""
        found = find_folder(root, (domain, *cls.domain_names.get(domain, ())))
        if found is None:
            present = ", ".join(repr(folder.name) for folder in subfolders(root)) or "none"
            raise DataError(f"{root}: no folder of the domain {domain!r}; there are: {present}")
        return found

    @classmethod
    def is_there(cls, data_root: str, piece: Piece) -> bool:
        """Whether a piece need not be fetched: the domain it is called like is there; or, when it
        is called otherwise, any domain is."""
        root = cls.find(data_root)
        if root is None or piece.name not in cls.domains:
            return root is not None
        try:
            return cls.domain_folder(root, piece.name) is not None
        except DataError:
            return False

    @classmethod
    def missing(cls, data_root: str, domains: set[str]) -> list[Piece]:
        """The pieces of `domains` that are still to be fetched."""
        others = {domain for domain in cls.domains if domain not in domains}
        return [
            piece
            for piece in cls.pieces
            if piece.name.split("_")[0] not in others and not cls.is_there(data_root, piece)
        ]

    @classmethod
    def compare(cls, root: Path, domain: str, deep: bool) -> Comparison:
        """A domain beside its published version; with `deep` each image is decoded. Raises
        DataError for one that cannot be listed."""
        raise TypeError(f"{cls.__name__} must define compare(root, domain, deep)")

    @classmethod
    def check(cls, data_root: str, domains: set[str] | None = None, deep: bool = False
              ) -> Iterator[tuple[str, bool, str]]:
        """(domain, as published?, what was found, compared and not compared) of each of `domains`,
        or of every one."""
        root = cls.locate(data_root)
        for domain in cls.domains:
            if domains and domain not in domains:
                continue
            try:
                comparison = cls.compare(root, domain, deep)
                yield domain, not comparison.differs, comparison.line()
            except DataError as error:
                yield domain, False, str(error)
