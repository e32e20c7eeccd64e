"""Published data sets: find them under any of their names, download them, and compare them with
what is known of the published version."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ueo.datasets.base import UFTDataset
from ueo.errors import DataError
from ueo.fetch.download import Piece, Remote
from ueo.images.folders import Unread, find_folder, find_root, subfolders
from ueo.images.unreadable import damaged
from ueo.text import shown

SHOWN = 6  # differences listed for a domain, at most


@dataclass
class Comparison:
    """A domain compared with its published version, in words: what was found, what differs, what
    was compared and what was not. known: whether anything is known of the published version."""

    found: str
    differs: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unread: Unread = field(default_factory=Unread)
    known: bool = True

    def numbers(self, found: int, published: int, what: str) -> None:
        """Compare two numbers of `what`, whose first word is a plural."""
        if found != published:
            what = re.sub("s( |$)", r"\1", what, count=1) if found == 1 else what
            self.differs.append(f"{found} {what}, the published version has {published}")

    def files(self, paths: list[str], deep: bool) -> None:
        """Look for empty files; with `deep` also decode each file."""
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
        """Return the comparison in one line."""
        more = [f"{len(self.differs) - SHOWN} more differences"] * (len(self.differs) > SHOWN)
        good = f"{self.found}{', as published' * self.known}"
        parts = ["; ".join(self.differs[:SHOWN] + more) or good]
        parts.append(f"compared: {', '.join(self.compared)}")
        if self.left:
            parts.append(f"not compared: {', '.join(self.left)}")
        if self.unread:
            parts.append(f"ignored: {self.unread}")
        return "; ".join(parts)


def on_mirror(number: str, name: str) -> Remote:
    """Return a file on the mirror at Tsinghua University. number: of its share; name: to give it.
    """
    return Remote(f"https://cloud.tsinghua.edu.cn/f/{number}/?dl=1", name)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # such as a broken link
        return 0


class PublishedDataset(UFTDataset):
    """A subclass sets, besides what UFTDataset asks for:

    pieces: what to download, if anything; a piece with a domain's name brings that domain.
    size:   of the download, in words.
    terms:  the conditions of the data set's authors, shown before a download.
    """

    published_split = True
    pieces: tuple[Piece, ...] = ()
    size: str = ""
    terms: str = ""

    def setup(self, root: Path) -> None:
        pass

    @classmethod
    def find(cls, data_root: str) -> Path | None:
        """Return the folder that holds the domains' folders, or None."""
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
        """Return the error for a data set that is missing from the data root, or incomplete."""
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
        """Return a domain's folder, by any spelling of its name. Raises DataError if missing."""
        found = find_folder(root, (domain, *cls.domain_names.get(domain, ())))
        if found is None:
            present = ", ".join(repr(folder.name) for folder in subfolders(root)) or "none"
            raise DataError(f"{root}: no folder of the domain {domain!r}; there are: {present}")
        return found

    @classmethod
    def is_there(cls, data_root: str, piece: Piece) -> bool:
        """Whether a piece need not be downloaded: the domain of its name is there; or, if it has no
        domain's name, any domain is."""
        root = cls.find(data_root)
        if root is None or piece.name not in cls.domains:
            return root is not None
        try:
            return cls.domain_folder(root, piece.name) is not None
        except DataError:
            return False

    @classmethod
    def missing(cls, data_root: str, domains: set[str]) -> list[Piece]:
        """Return the pieces of `domains` that remain to be downloaded."""
        others = {domain for domain in cls.domains if domain not in domains}
        return [
            piece
            for piece in cls.pieces
            if piece.name.split("_")[0] not in others and not cls.is_there(data_root, piece)
        ]

    @classmethod
    def compare(cls, root: Path, domain: str, deep: bool) -> Comparison:
        """Compare a domain with its published version; with `deep` decode each image. Raises
        DataError if the images cannot be listed."""
        raise TypeError(f"{cls.__name__} must define compare(root, domain, deep)")

    @classmethod
    def check(cls, data_root: str, domains: set[str] | None = None, deep: bool = False
              ) -> Iterator[tuple[str, bool, str]]:
        """Yield (domain, whether it is as published, the comparison in words) for each of
        `domains`, by default all."""
        root = cls.locate(data_root)
        for domain in cls.domains:
            if domains and domain not in domains:
                continue
            try:
                comparison = cls.compare(root, domain, deep)
                yield domain, not comparison.differs, comparison.line()
            except DataError as error:
                yield domain, False, str(error)
