"""The base class of data sets for unsupervised universal fine-tuning.

A data set lists the images of one target domain. This module selects those of a label space and a
protocol, and makes Dassl's `train_x`, `train_u` and `test` of them.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from dassl.data.datasets import DatasetBase, Datum

from ueo.datasets.shots import take_shots
from ueo.datasets.streams import one_after_another
from ueo.errors import ConfigError, DataError
from ueo.images.class_names import matched, summary
from ueo.images.folders import Item, Unread, find_folder
from ueo.images.hashes import cache_of, files_of, of_data
from ueo.images.lists import NO_LABEL
from ueo.images.other_datasets import split_hash
from ueo.images.unreadable import without_unreadable
from ueo.inputs import Inputs
from ueo.label_space import STANDARD_SETTINGS, ClassCounts, LabelSpace, label_space, subsample
from ueo.names import did_you_mean, listed, meanings
from ueo.settings.config import setting_of
from ueo.settings.known_keys import ONLINE


class UFTDataset(DatasetBase):
    """One domain under one label space and protocol.

    A subclass sets the class attributes, fills `class_list` and defines `items(domain, part)`.

    title:          the name in tables.
    dataset_dir:    its folder below the data root, in any spelling; `folder_names`: other names.
    domains:        all domains, in the order of tables; `domain_names`: other names of theirs.
    targets:        the domains that a grid adapts to, including the tuning domain.
    tuning_domain:  the one on which hyper-parameters were chosen, left out of means; or None.
    counts:         how the classes are divided into label spaces.
    settings:       the label spaces that a grid runs by default.
    seeds:          the seeds that a grid runs by default.
    relatives:      {name of a yaml: its class}, data sets with all or some of the classes, to test
                    domain shift; each has a domain of that name.
    published:      {domain: number of images in the published version}, where known.
    published_split: True: images and split are given, and test images that copy a training image
                    under another name are counted. False: such a copy is an error.

    train_u holds images of the classes L_u, train_x of L_p, test of all classes. Labels of train_u
    are for evaluation only. `classnames` are the K known names, whatever train_x contains. With
    DATASET.NUM_SHOTS, train_x holds that many images a class, and the test set none of them.
    Online, train_u and test are the stream, and an item's `domain` is its domain's position in it.
    """

    title: str = ""
    dataset_dir: str
    folder_names: tuple[str, ...] = ()
    domains: tuple[str, ...]
    domain_names: dict[str, tuple[str, ...]] = {}
    targets: tuple[str, ...]
    tuning_domain: str | None = None
    counts: ClassCounts
    settings: tuple[str, ...] = STANDARD_SETTINGS
    seeds: tuple[int, ...] = (1, 2, 3)
    relatives: dict[str, str] = {}
    published: dict[str, int] = {}
    published_split: bool = False
    class_list: list[str]

    def __init__(self, cfg):
        seen, test = self._read_domain(cfg, self.prepare)
        self.inputs = self._inputs(cfg, seen, test)
        whole = label_space(self.counts, setting_of(cfg, "SETTING"))
        whole = replace(whole, test=whole.unlabelled) if self.protocol == ONLINE else whole
        self.space: LabelSpace = subsample(whole, setting_of(cfg, "SUBSAMPLE_CLASSES"))
        self.published_counts = self._compare_counts(seen, test, setting_of(cfg, "CHECK_COUNTS"))
        self.skipped: dict[str, str] = {}
        if setting_of(cfg, "BAD_IMAGES") == "skip":
            report = self.notes(cfg) / f"bad_images-{self.domain}.json"
            (seen, test), self.skipped = without_unreadable((seen, test), report)
        datum = cache(self._datum)  # shared by all lists, since each Datum checks its file
        unlabelled = _keep(seen, self.space.unlabelled, datum)
        tested = all_tested = _keep(test, self.space.test, datum)
        for items, what in ((unlabelled, "of the unlabelled classes"), (tested, "to test on")):
            if not items:
                raise DataError(f"{self.root}: domain {self.domain!r} has no image {what}")
        labelled = _keep([i for i in seen if i[1] != NO_LABEL], whole.known, datum)
        labelled, tested, self.shots = take_shots(
            self, labelled, tested, cfg.DATASET.NUM_SHOTS, setting_of(cfg, "UNTESTED_CLASSES")
        )
        self.split_hash = split_hash(unlabelled, all_tested)
        self._match_names(unlabelled, all_tested)
        if self.space != whole:
            labelled, unlabelled, tested = map(self._renumbered, (labelled, unlabelled, tested))
        super().__init__(train_x=labelled or unlabelled, train_u=unlabelled, test=tested)
        names = [self.class_list[i] for i in self.space.known]
        self._lab2cname, self._classnames = dict(enumerate(names)), names
        self._num_classes = len(names)

    @classmethod
    def inputs_of(cls, cfg) -> Inputs:
        """Return what a result on the configuration's domain depends on, from the data on disk.
        Prepares nothing. Raises DataError if there is no data."""
        data = cls.__new__(cls)
        return data._inputs(cfg, *data._read_domain(cfg))

    def _read_domain(self, cfg, prepare: Callable[[str], None] = lambda root: None):
        """Return (unlabelled, test) of the domain, with all classes."""
        self.domain = self._choose_domain(cfg.DATASET.TARGET_DOMAINS)
        self.protocol, self.place = setting_of(cfg, "PROTOCOL"), {}
        later = setting_of(cfg, "THEN", "ONLINE") if self.protocol == ONLINE else ()
        self.later = list(map(self.domain_of, later))
        prepare(cfg.DATASET.ROOT)
        self.root = self.locate(cfg.DATASET.ROOT)
        self.unread = Unread()  # counts what else the folders hold
        self.setup(self.root)
        if len(self.class_list) != self.counts.total:
            raise DataError(
                f"{self.root}: {self.counts.total} classes are expected, {len(self.class_list)} "
                "were found; the data set is incomplete, or `counts.total` is wrong"
            )
        return getattr(self, self.protocol)(self.domain)

    def _inputs(self, cfg, seen: list[Item], test: list[Item]) -> Inputs:
        self.files = files_of(
            (path for part in (seen, test) for path, _ in part), self._names_start_at(),
            cache_of(cfg, f"{cfg.DATASET.NAME}-{self.domain}"),
        )
        return of_data(self.class_list, (seen, test), self.files)

    def _names_start_at(self) -> Path:
        """Return the folder to which names of images are relative, on any machine."""
        return self.root

    def notes(self, cfg) -> Path:  # the folder for reports about the images
        return self.root

    # what a subclass defines

    def setup(self, root: Path) -> None:
        """Check that the data is at `root` and read what describes it."""
        raise ConfigError(f"{type(self).__name__} must define setup(root)")

    def items(self, domain: str, part: str) -> list[Item]:
        """Return (path, class id) of the images in `part`, "train" or "test", of the split."""
        raise ConfigError(f"{type(self).__name__} must define items(domain, part)")

    def released(self, domain: str) -> tuple[list[Item], list[Item]]:
        """Return (unlabelled, test), twice the list of the domain, as in the released code."""
        both = self.items(domain, "train") + self.items(domain, "test")
        whole = sorted(both, key=lambda item: (item[1], item[0]))
        return whole, whole

    def independent(self, domain: str) -> tuple[list[Item], list[Item]]:
        """Return (unlabelled, test), the disjoint parts of the stored split."""
        return self.items(domain, "train"), self.items(domain, "test")

    def online(self, domain: str) -> tuple[list[Item], list[Item]]:
        """Return (stream, stream): the domain's unlabelled images, then those of ONLINE.THEN."""
        stream, self.place = one_after_another(self, [domain, *self.later])
        return stream, stream

    @classmethod
    def prepare(cls, root: str) -> None:
        """Bring the data into `root` once, before runs start in parallel; by default nothing."""

    # shared

    @classmethod
    def locate(cls, data_root: str) -> Path:
        """Return the data set's folder below the data root. Raises DataError if there is none."""
        root = Path(data_root).expanduser()
        found = find_folder(root, (cls.dataset_dir, *cls.folder_names)) if root.is_dir() else None
        if found is None:
            raise DataError(
                f"{root / cls.dataset_dir}: no such folder; --root names the folder that has it"
            )
        return found

    @classmethod
    def domain_of(cls, name: str) -> str:
        """Return the domain of which `name` is a spelling. Raises ConfigError if there is none."""
        spellings = [(s, d) for d in cls.domains for s in (d, *cls.domain_names.get(d, ()))]
        found = meanings(name, spellings)
        if len(found) == 1:
            return found[0]
        wrong = f"may be {found[0]!r} or {found[1]!r}" if found else "is not there"
        raise ConfigError(
            f"{cls.title or cls.__name__}: domain {name!r} {wrong}"
            f"{did_you_mean(name, cls.domains) if not found else ''}; "
            f"known: {listed(cls.domains)}"
        )

    def _choose_domain(self, chosen: tuple[str, ...]) -> str:
        if len(chosen) != 1:
            raise ConfigError(
                "DATASET.TARGET_DOMAINS: name exactly one domain (--domain), of "
                f"{listed(self.domains)}"
            )
        return self.domain_of(chosen[0])

    def _compare_counts(self, seen: list[Item], test: list[Item], strict: bool) -> bool | None:
        """Whether the domain has the published number of images; None if that is unknown."""
        published = self.published.get(self.domain)
        if published is None or self.later:
            return None
        if (found := len({path for path, _ in (*seen, *test)})) != published and strict:
            check = f"`bash scripts/data.sh check {self.dataset_dir}` says what differs, "
            raise DataError(
                f"{self.root}: domain {self.domain} holds {found} images, the published version "
                f"{published}; it is incomplete or another version: "
                f"{check * hasattr(self, 'compare')}--set DATASET.CHECK_COUNTS False goes on"
            )
        return found == published

    def _match_names(self, *parts: list[Datum]) -> None:
        """Set and print `matched`, which classes have images; None without labels."""
        present = {item.label for part in parts for item in part}
        known = self.space.known
        self.matched = None
        if present != {NO_LABEL}:
            unknown = sorted(present - set(known) - {NO_LABEL})
            self.matched = matched(
                [self.class_list[i] for i in known], [self.class_list[i] for i in unknown],
                {self.class_list[i] for i in present if i != NO_LABEL},
            )
            print("Names:", "\n".join(summary(self.matched)))
        if self.unread:
            print(f"Ignored: {self.unread}")

    def _renumbered(self, items: list[Datum]) -> list[Datum]:
        """Return the items of the label space; known classes are labelled from 0, then others."""
        space = self.space
        others = sorted({*space.test, *space.unlabelled} - set(space.known))
        label = {NO_LABEL: NO_LABEL, **{c: i for i, c in enumerate((*space.known, *others))}}
        return [Datum(i.impath, label[i.label], i.domain, i.classname)
                for i in items if i.label in label]

    def _datum(self, path: str, label: int) -> Datum:
        name = "" if label == NO_LABEL else self.class_list[label]
        return Datum(path, label, self.place.get(path, 0), name)


def _keep(
    items: list[Item], classes: tuple[int, ...], datum: Callable[[str, int], Datum]
) -> list[Datum]:
    """Return the images of `classes` and those without a label."""
    wanted = {*classes, NO_LABEL}
    return [datum(path, label) for path, label in items if label in wanted]
