"""Readers of the built-in data sets: class folders, lists of paths, labels in file names.

Names are sorted, so a list of images is the same on every file system.
"""

import os.path as osp

from dassl.data.datasets.base_dataset import DatasetBase, Datum
from dassl.utils import DataValueError, MissingFileError, listdir_nohidden

Image = tuple[str, int, str]  # path, label, name of the class


def names_in(folder: str, suffix: str = "") -> list[str]:
    """Return the sorted names in a folder that end in `suffix`, without hidden ones. Raise
    MissingFileError."""
    if not osp.isdir(folder):
        raise MissingFileError(f"{folder}: no such folder of images")
    return [name for name in listdir_nohidden(folder, sort=True) if name.endswith(suffix)]


def class_folders(folder: str, suffix: str = "") -> list[Image]:
    """Return the images in the subfolders of `folder`, which are the classes in sorted order."""
    return [
        (osp.join(folder, name, image), label, name)
        for label, name in enumerate(names_in(folder))
        for image in names_in(osp.join(folder, name), suffix)
    ]


def listed(file: str) -> list[tuple[str, int]]:
    """Return (path, label) of each line `path label`. Raise MissingFileError, DataValueError."""
    if not osp.isfile(file):
        raise MissingFileError(f"{file}: no such list of images")
    with open(file, encoding="utf-8") as lines:
        pairs = [line.rsplit(maxsplit=1) for line in lines if line.strip()]
    for number, pair in enumerate(pairs, 1):
        if len(pair) != 2 or not pair[1].isdecimal():
            raise DataValueError(f"{file}, line {number}: {' '.join(pair)!r} is not `path label`")
    return [(path, int(label)) for path, label in pairs]


def labels_in_names(folder: str) -> list[tuple[str, str]]:
    """Return (path, label) of each image <anything>_<label>.png in a folder; unlabelled: "none"."""
    images = []
    for name in names_in(folder):
        _, _, label = osp.splitext(name)[0].partition("_")
        label = label.partition("_")[0]
        if label != "none" and not label.isdecimal():
            raise DataValueError(
                f"{osp.join(folder, name)}: no label in its name; it should be like 00001_7.png"
            )
        images.append((osp.join(folder, name), label))
    return images


class DomainDataset(DatasetBase):
    """Source domains to train on and target domains to test on, below DATASET.ROOT.

    A subclass defines images(domain, split). data_url: archive to download if the folder is
    missing.
    """

    data_url = ""

    def find(self, cfg) -> None:
        """Set dataset_dir and download it if missing; check the names of the domains."""
        self.check_input_domains(cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS)
        self.dataset_dir = below_root(cfg, self.dataset_dir)
        if self.data_url and not osp.exists(self.dataset_dir):
            self.download_data(self.data_url, f"{self.dataset_dir}.zip", from_gdrive=True)

    def images(self, domain: str, split: str) -> list[Image]:
        """Return the images of one domain."""
        raise NotImplementedError

    def read(self, domains, split: str) -> list[Datum]:
        """Return the images of some domains, numbered in the given order."""
        return [
            Datum(path, label, number, name)
            for number, domain in enumerate(domains)
            for path, label, name in self.images(domain, split)
        ]


class AdaptationDataset(DomainDataset):
    """Labelled images of the sources; unlabelled and test images of the targets."""

    validates = False  # on the sources' test split

    def __init__(self, cfg):
        self.find(cfg)
        source, target = cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS
        super().__init__(
            train_x=self.read(source, "train"),
            train_u=self.read(target, "train"),
            val=self.read(source, "test") if self.validates else None,
            test=self.read(target, "test"),
        )


class GeneralisationDataset(DomainDataset):
    """Training and validation images of the sources, test images of unseen targets.

    splits: names of the three.
    """

    splits: tuple[str, str, str] = ("train", "val", "all")

    def __init__(self, cfg):
        self.find(cfg)
        source, target = cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS
        train, val, test = self.splits
        super().__init__(
            train_x=self.read(source, train), val=self.read(source, val),
            test=self.read(target, test),
        )


def below_root(cfg, folder: str) -> str:
    """Return the absolute path of a folder below DATASET.ROOT."""
    return osp.join(osp.abspath(osp.expanduser(cfg.DATASET.ROOT)), folder)
