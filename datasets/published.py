"""Data sets that others published: found under any of their names, fetched, compared with what is
known of the published version."""

from collections.abc import Iterator
from pathlib import Path

from ueo.datasets.base import UFTDataset

from ueo.download import Piece
from ueo.errors import DataError
from ueo.trees import find_folder, find_root, subfolders


class PublishedDataset(UFTDataset):
    """A subclass sets, besides what UFTDataset asks for:

    folder_names: further names of its folder below the data root.
    pieces:       what to download; one that is called like a domain brings that domain.
    size:         of the download, in words.
    terms:        the conditions of those who made the data set, shown before a download.
    """

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
        return DataError(
            f"{Path(data_root) / cls.dataset_dir}: {cls.title} is not there or incomplete; fetch "
            f"it with `bash scripts/data.sh download {cls.dataset_dir} --root {data_root}`, or "
            f"name the folder that holds {cls.dataset_dir}/ with --root"
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
    def check_domain(cls, root: Path, domain: str) -> str:
        """One line about a domain that is as published. Raises DataError for one that differs."""
        raise TypeError(f"{cls.__name__} must define check_domain(root, domain)")

    @classmethod
    def check(cls, data_root: str) -> Iterator[tuple[str, bool, str]]:
        """(domain, as published?, what was found or what differs) of every domain."""
        root = cls.locate(data_root)
        for domain in cls.domains:
            try:
                yield domain, True, cls.check_domain(root, domain)
            except DataError as error:
                yield domain, False, str(error)
