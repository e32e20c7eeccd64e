"""What every data set of unsupervised universal fine-tuning shares.

A data set lists the images of one target domain; this module cuts them to a label space and a
protocol, and gives Dassl its `train_x`, `train_u` and `test`.
"""

import hashlib
import json
from pathlib import Path

from dassl.data.datasets import DatasetBase, Datum
from ueo.datasets.label_space import ClassCounts, LabelSpace, label_space

from ueo.config import setting_of
from ueo.errors import ConfigError, DataError
from ueo.names import nearest

PROTOCOLS = ("released", "independent")


class UFTDataset(DatasetBase):
    """One domain under one label space and protocol.

    A subclass sets the class attributes, fills `class_list` and defines `items(domain, part)`.

    domains:       every domain, in the order of tables.
    targets:       the domains that a grid adapts to, tuning domain included.
    tuning_domain: the one on which hyper-parameters were chosen, left out of means; or None.
    counts:        how the classes are divided into label spaces.

    train_u holds the images of L_u, train_x those of L_p, test every class. Labels of train_u are
    for evaluation only. `classnames` holds the K known names, whatever train_x contains.
    """

    dataset_dir: str
    domains: tuple[str, ...]
    targets: tuple[str, ...]
    tuning_domain: str | None = None
    counts: ClassCounts
    class_list: list[str]

    def __init__(self, cfg):
        root = Path(cfg.DATASET.ROOT).expanduser() / self.dataset_dir
        self.prepare(cfg.DATASET.ROOT)
        if not root.is_dir():
            raise DataError(
                f"{root}: no such folder; --root names the folder that holds {self.dataset_dir}/"
            )
        self.setup(root)
        if len(self.class_list) != self.counts.total:
            raise DataError(
                f"{root}: {self.counts.total} classes are expected, "
                f"{len(self.class_list)} were found; the data set is incomplete"
            )
        self.domain = self._choose_domain(cfg.DATASET.TARGET_DOMAINS)
        self.protocol = self._choose_protocol(setting_of(cfg, "PROTOCOL"))
        self.space: LabelSpace = label_space(self.counts, setting_of(cfg, "SETTING"))
        seen, test = self.items(self.domain, "train"), self.items(self.domain, "test")
        if self.protocol == "released":
            seen = test = self.released_items(seen, test)
        unlabelled = self._keep(seen, self.space.unlabelled)
        if not unlabelled:
            raise DataError(
                f"{root}: domain {self.domain!r} has no image of the unlabelled classes"
            )
        tested = self._keep(test, self.space.test)
        if not tested:
            raise DataError(f"{root}: domain {self.domain!r} has no image to test on")
        super().__init__(
            train_x=self._keep(seen, self.space.known), train_u=unlabelled, test=tested
        )
        names = [self.class_list[i] for i in self.space.known]
        self._lab2cname, self._classnames = dict(enumerate(names)), names
        self._num_classes = len(names)

    # what a subclass defines

    def setup(self, root: Path) -> None:
        """Check that the data is at `root` and read what describes it."""
        raise TypeError(f"{type(self).__name__} must define setup(root)")

    def items(self, domain: str, part: str) -> list[tuple[str, int]]:
        """(path, class id) of the images in `part` ("train" or "test") of the stored split."""
        raise TypeError(f"{type(self).__name__} must define items(domain, part)")

    def released_items(self, train, test) -> list[tuple[str, int]]:
        """The one list that the released code both adapts to and tests on: the whole domain."""
        return sorted(train + test, key=lambda item: (item[1], item[0]))

    @classmethod
    def prepare(cls, root: str) -> None:
        """Bring the data into `root` once, before runs start in parallel; nothing by default."""

    # shared

    @property
    def split_hash(self) -> str:
        """Hash of what is unlabelled and what is tested; equal hashes may be averaged."""
        lists = [
            [(Path(item.impath).name, item.label) for item in part]
            for part in (self.train_u, self.test)
        ]
        return hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]

    def _choose_domain(self, chosen: tuple[str, ...]) -> str:
        if len(chosen) != 1:
            raise ConfigError(
                "DATASET.TARGET_DOMAINS: name exactly one domain (--domain), of "
                f"{', '.join(self.domains)}"
            )
        if chosen[0] not in self.domains:
            raise ConfigError(
                f"domain {chosen[0]!r} is not in {type(self).__name__}"
                f"{nearest(chosen[0], self.domains)}; known: {', '.join(self.domains)}"
            )
        return chosen[0]

    @staticmethod
    def _choose_protocol(name: str) -> str:
        if name not in PROTOCOLS:
            raise ConfigError(
                f"DATASET.PROTOCOL: {name!r} is unknown; known: {', '.join(PROTOCOLS)}"
            )
        return name

    def _keep(self, items: list[tuple[str, int]], classes: tuple[int, ...]) -> list[Datum]:
        names, wanted = self.class_list, set(classes)
        return [
            Datum(impath=path, label=label, domain=0, classname=names[label])
            for path, label in items
            if label in wanted
        ]
