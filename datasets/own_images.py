"""The user's own images: class folders, a flat folder without labels, or a list; and class names.

The names (DATASET.NAMES) are the known classes L_p; the classifier knows no others. With labels,
images of other classes are evaluated as out-of-distribution; without labels, the run reports what
can be known. The label space is "as_is": all images are adapted to and tested on.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.datasets.base import UFTDataset
from ueo.errors import ConfigError, DataError, from_here
from ueo.images.class_names import check_names, class_ids, read_names
from ueo.images.folders import (
    Item,
    existing,
    images_below,
    images_in,
    labelled_images,
    subfolders,
)
from ueo.images.hashes import store_folder
from ueo.images.lists import NO_LABEL, read_rows
from ueo.images.splits import stored_split
from ueo.label_space import ClassCounts
from ueo.names import did_you_mean, match
from ueo.settings.config import setting_of


class OwnImages(UFTDataset):
    """DATASET.PATH says where the images or their list are."""

    own = True
    domains = targets = ()
    settings = ("as_is",)
    seeds = (1,)

    def _read_domain(self, cfg, prepare=lambda root: None):
        self.path, self.names_file = self.path_of(cfg), setting_of(cfg, "NAMES")
        self.recursive = setting_of(cfg, "RECURSIVE")
        if setting_of(cfg, "SETTING") not in self.settings:
            raise ConfigError(
                f"DATASET.SETTING: your own images have the label space as_is, not "
                f"{setting_of(cfg, 'SETTING')!r}; the names in DATASET.NAMES say what is known"
            )
        self.image_root = Path(cfg.DATASET.ROOT).expanduser()
        lists = super()._read_domain(cfg, prepare)
        self.domains = (self.domain,)
        return lists

    @classmethod
    def path_of(cls, cfg) -> Path:
        """Return DATASET.PATH. Raises ConfigError if it is empty or does not exist."""
        path = Path(setting_of(cfg, "PATH") or "").expanduser()
        if not setting_of(cfg, "PATH"):
            raise ConfigError("DATASET.PATH: say where your images are, with --path")
        if not path.exists():
            raise ConfigError(f"DATASET.PATH: {path} does not exist{from_here(str(path))}")
        return path

    @classmethod
    def targets_at(cls, path: str) -> tuple[str, ...]:
        """Return the one domain at `path`, named like the folder or the list without its suffix."""
        place = Path(path).expanduser().resolve()
        return (place.name if place.is_dir() else place.stem,)

    @classmethod
    def domain_of(cls, name: str) -> str:
        raise ConfigError(
            f"domain {name!r}: your own images are one domain; leave out ONLINE.THEN and --domain"
        )

    def _choose_domain(self, chosen: tuple[str, ...]) -> str:
        (own,) = self.targets_at(self.path)
        if chosen not in ((), (own,)):
            raise ConfigError(
                f"domain {chosen[0]!r}: {self.path} is one domain, {own!r}; leave out --domain"
            )
        return own

    def locate(self, data_root: str) -> Path:
        return self.path if self.path.is_dir() else self.path.parent

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        whole = self.whole()
        return whole, whole

    def independent(self, domain: str) -> tuple[list[Item], list[Item]]:
        start = self._names_start_at()
        names = {os.path.relpath(path, start): (path, label) for path, label in self.whole()}
        return stored_split(names, self.root / f"independent_{domain}.json", store=False)

    def notes(self, cfg) -> Path:
        return store_folder(cfg)

    def whole(self) -> list[Item]:
        """Return (path, class id) of every image."""
        raise TypeError(f"{type(self).__name__} must define whole()")

    def _set_classes(self, known: list[str], unknown: list[str]) -> None:
        self.class_list = [*known, *unknown]
        total, k = len(self.class_list), len(known)
        self.counts = ClassCounts(total, known=k, partial=k, open_partial=k, seen_ood=total - k)

    def _names(self) -> list[str] | None:
        """Return the known class names: DATASET.NAMES, or names.txt beside the images; or None."""
        given, beside = Path(self.names_file).expanduser(), self.root / "names.txt"
        self.names_path = given if self.names_file else beside
        return read_names(self.names_path) if self.names_file or beside.is_file() else None


WITHOUT_LABELS = "--recursive reads the images of all its sub-folders, without labels"


@DATASET_REGISTRY.register()
class UFTFolder(OwnImages):
    """A folder of class folders, of which those not in DATASET.NAMES are unknown classes; or a
    folder of images without labels. With DATASET.RECURSIVE, sub-folders are read at any depth. They
    are class folders if there are no images beside them and at least one has a class name; else
    their images have no labels."""

    title = "folder"

    def setup(self, root: Path) -> None:
        if not self.path.is_dir():
            raise ConfigError(
                f"DATASET.PATH: {self.path} is no folder; for a list use the data set list"
            )
        folders, loose = subfolders(root), images_in(root)
        names = self._names()
        if self.recursive and names and not self._holds_classes(names, folders, loose):
            folders, loose = [], images_below(root)
        if folders and loose:
            raise DataError(
                f"{root}: holds loose images ({os.path.basename(loose[0])!r}) and folders "
                f"({folders[0].name!r}); {WITHOUT_LABELS}; for labels, move the loose ones into "
                "class folders"
            )
        if not folders and not loose:
            raise DataError(f"{root}: no image in this folder")
        if names is None and not folders:
            raise DataError(
                f"{root}: images without class folders need the class names; put them, one a line, "
                "into names.txt there or name a file with --names"
            )
        if names is None:
            check_names((str(folder), folder.name) for folder in folders)
            names = [folder.name for folder in folders]
        ids, unknown = match(names, [folder.name for folder in folders], str(root))
        if folders and not ids:
            raise DataError(
                f"{root}: no folder has one of the {len(names)} class names; first name "
                f"{names[0]!r}, first folder {folders[0].name!r}"
                f"{did_you_mean(folders[0].name, names)}; {WITHOUT_LABELS}"
            )
        ids |= {name: len(names) + i for i, name in enumerate(unknown)}
        self.ids = {folder: ids[folder.name] for folder in folders}
        self._set_classes(names, unknown)

    @staticmethod
    def _holds_classes(names: list[str], folders: list[Path], loose: list[str]) -> bool:
        """Whether the folder holds class folders and no images beside them."""
        return not loose and bool(match(names, [folder.name for folder in folders], "")[0])

    def whole(self) -> list[Item]:
        images = images_below if self.recursive else images_in
        if not self.ids:
            items = [(path, NO_LABEL) for path in images(self.root, self.unread)]
            self.unread.forget(self.names_path)
            return items
        images_in(self.root, self.unread)  # counts what lies beside the class folders
        self.unread.forget(self.names_path)
        self.unread.read_folders()
        items = []
        for folder, label in self.ids.items():
            items += labelled_images(folder, label, folder.name, self.unread, images)
        return sorted(items, key=lambda item: (item[1], item[0]))


@DATASET_REGISTRY.register()
class UFTList(OwnImages):
    """A list of `path label` lines, or of paths alone (ueo/images/lists.py); paths are relative to
    the data root. Labels that are numbers below the number of names, or are names, are known
    classes, others unknown ones. Beside a list X_train.txt, X_test.txt is the test set."""

    title = "list"

    def setup(self, root: Path) -> None:
        if not self.path.is_file():
            raise ConfigError(
                f"DATASET.PATH: {self.path} is no list; for a folder of images use the data set "
                "folder"
            )
        names = self._names()
        if names is None:
            raise DataError(
                f"{self.path}: a list needs the class names in the order of labels; put them, one "
                "a line, into names.txt beside it or name a file with --names"
            )
        partner = self.path.with_name(self.path.name.replace("_train.txt", "_test.txt"))
        self.test_list = partner if partner.is_file() else self.path
        self._read(names, dict.fromkeys((self.path, self.test_list)))

    def _read(self, names: list[str], files: Iterable[Path]) -> None:
        """Read the lists together, so that an unknown class has one id in both."""
        rows = {file: read_rows(file, self.image_root) for file in files}
        labels, unknown = class_ids([row for part in rows.values() for row in part], names)
        self._set_classes(names, unknown)
        labels = iter(labels)
        self.listed = {
            file: self._items(file, [(row.path, next(labels)) for row in part])
            for file, part in rows.items()
        }

    def _items(self, file: Path, listed: list[Item]) -> list[Item]:
        items = [(os.path.join(self.image_root, path), label) for path, label in listed]
        return existing(
            items, file, "--root names the folder that its paths start from; a line is `path "
            "label`, parted by a space, a tab, a comma or a semicolon"
        )

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        if self.test_list != self.path:
            return self.listed[self.path], self.listed[self.test_list]
        return super().released(domain)

    def independent(self, domain: str) -> tuple[list[Item], list[Item]]:
        return self.released(domain) if self.test_list != self.path else super().independent(domain)

    def whole(self) -> list[Item]:
        return self.listed[self.path]

    def _names_start_at(self) -> Path:
        return self.image_root
