"""A data set: lists of Datum.

Split files of users contain pickled Datum objects, so this module path and the attribute names must
not change.
"""

import os.path as osp
import random
import tarfile
import zipfile
from collections import defaultdict

from dassl.utils import DataValueError, MissingFileError, check_availability, download_url


class Datum:
    """One image: path, label (int), domain (int), name of the class.

    Raise MissingFileError if `impath` is no file.
    """

    def __init__(self, impath: str = "", label: int = 0, domain: int = 0, classname: str = ""):
        if not isinstance(impath, str):
            impath = str(impath)
        if not osp.isfile(impath):
            raise MissingFileError(f"{impath!r}: no such image")
        self._impath = impath
        self._label = label
        self._domain = domain
        self._classname = classname

    @property
    def impath(self) -> str:
        return self._impath

    @property
    def label(self) -> int:
        return self._label

    @property
    def domain(self) -> int:
        return self._domain

    @property
    def classname(self) -> str:
        return self._classname

    def __repr__(self) -> str:
        return f"Datum({self._impath!r}, {self._label}, {self._domain}, {self._classname!r})"


class DatasetBase:
    """Labelled, unlabelled, validation and test images, each a list of Datum or None.

    A subclass calls `super().__init__` with its lists. The classes come from train_x; without it
    the subclass sets _num_classes, _lab2cname and _classnames.
    """

    dataset_dir = ""  # folder below DATASET.ROOT
    domains: list[str] = []  # names of all domains

    def __init__(self, train_x=None, train_u=None, val=None, test=None):
        if not train_x and not train_u:
            raise DataValueError(
                f"{type(self).__name__} has no training images: both train_x and train_u are empty"
            )
        self._train_x = train_x
        self._train_u = train_u
        self._val = val
        self._test = test
        self._num_classes = self._lab2cname = self._classnames = None
        if train_x:  # other code reads and replaces these attributes
            self._num_classes = self.get_num_classes(train_x)
            self._lab2cname, self._classnames = self.get_lab2cname(train_x)

    @property
    def train_x(self):
        return self._train_x

    @property
    def train_u(self):
        return self._train_u

    @property
    def val(self):
        return self._val

    @property
    def test(self):
        return self._test

    @property
    def lab2cname(self) -> dict[int, str]:
        return self._known(self._lab2cname)

    @property
    def classnames(self) -> list[str]:
        return self._known(self._classnames)

    @property
    def num_classes(self) -> int:
        return self._known(self._num_classes)

    def _known(self, fact):
        if fact is None:
            raise DataValueError(
                f"{type(self).__name__} has no labelled images, so its classes are not known: set "
                "_num_classes, _lab2cname and _classnames after super().__init__()"
            )
        return fact

    @staticmethod
    def get_num_classes(data_source: list[Datum]) -> int:
        """Return the largest label plus one. Raise DataValueError for an empty list."""
        if not data_source:
            raise DataValueError("the number of classes of an empty list is not defined")
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source: list[Datum]) -> tuple[dict[int, str], list[str]]:
        """Return ({label: class name}, class names in the order of labels)."""
        mapping = {item.label: item.classname for item in data_source}
        return mapping, [mapping[label] for label in sorted(mapping)]

    def check_input_domains(self, source_domains, target_domains) -> None:
        """Raise ConfigValueError unless all are domains of this data set."""
        self.is_input_domain_valid([*source_domains, *target_domains])

    def is_input_domain_valid(self, input_domains) -> None:
        """Raise ConfigValueError unless each is a domain of this data set."""
        for domain in input_domains:
            check_availability(domain, self.domains, "domain")

    def download_data(self, url: str, dst: str, from_gdrive: bool = True) -> None:
        """Download the archive `url` to the file `dst` and unpack it in the same folder."""
        download_url(url, dst, from_gdrive=from_gdrive)
        folder = osp.dirname(dst) or "."
        if zipfile.is_zipfile(dst):
            with zipfile.ZipFile(dst) as archive:
                archive.extractall(folder)  # drops absolute paths and ..
        elif tarfile.is_tarfile(dst):
            with tarfile.open(dst) as archive:
                archive.extractall(folder, filter="data")  # refuses paths outside the folder
        else:
            raise DataValueError(f"{dst}: neither a zip nor a tar archive; fetch {url} by hand")
        print(f"File extracted to {folder}")

    def generate_fewshot_dataset(self, *data_sources, num_shots: int = -1, repeat: bool = False):
        """Draw `num_shots` random images of each class, from Python's global random state.

        data_sources: lists of Datum, returned unchanged if num_shots < 1. With `repeat`, images of
        a class that has too few are repeated; else all of its images are taken.

        Return a list for one source, a list of lists for several.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        chosen = [self._few(source, num_shots, repeat) for source in data_sources]
        return chosen[0] if len(chosen) == 1 else chosen

    def _few(self, data_source: list[Datum], num_shots: int, repeat: bool) -> list[Datum]:
        # published splits depend on the order of classes (first appearance) and of these calls
        chosen = []
        for items in self.split_dataset_by_label(data_source).values():
            if len(items) >= num_shots:
                chosen += random.sample(items, num_shots)
            else:
                chosen += random.choices(items, k=num_shots) if repeat else items
        return chosen

    def split_dataset_by_label(self, data_source: list[Datum]) -> dict[int, list[Datum]]:
        """Return {label: images}, labels in the order of first appearance."""
        split = defaultdict(list)
        for item in data_source:
            split[item.label].append(item)
        return split

    def split_dataset_by_domain(self, data_source: list[Datum]) -> dict[int, list[Datum]]:
        """Return {domain: images}, domains in the order of first appearance."""
        split = defaultdict(list)
        for item in data_source:
            split[item.domain].append(item)
        return split
