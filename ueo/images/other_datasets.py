"""Adapt data sets that were not written for this project, such as those of Dassl and CoOp.

They have `train_x`, `test` and sometimes `train_u`, but no label space, protocol or split hash.
"""

import os
from pathlib import Path
from types import SimpleNamespace

from dassl.data.datasets import DatasetBase, Datum

from ueo.errors import ConfigError, DataError
from ueo.images.folders import Unread
from ueo.images.hashes import cache_of, files_of, of_data, short_hash
from ueo.images.lists import NO_LABEL
from ueo.images.overlap import Overlap, overlap
from ueo.names import enumeration
from ueo.settings.config import setting_of
from ueo.settings.known_keys import ONLINE


def split_hash(*parts: list[Datum]) -> str:
    """Return a hash of the unlabelled and the test set; results of equal hashes may be averaged."""
    return short_hash([[(os.path.basename(i.impath), i.label) for i in part] for part in parts], 16)


def complete(dataset: DatasetBase, cfg) -> None:
    """Add the attributes of a UFTDataset to `dataset`, in place, where they are missing. Print how
    its test set differs from what one would expect.

    Without `train_u`, the unlabelled images are those of `train_x`, whose labels an unsupervised
    trainer does not see. The label space is "all", unless test labels lack a class name and so are
    out-of-distribution. The protocol is "independent", unless training images are tested.

    Raises DataError if --protocol independent is asked for and does not hold, or if labels are not
    the positions of the class names: Dassl takes the names from `train_x` alone.
    """
    if hasattr(dataset, "untested_classes"):
        return
    if not hasattr(dataset, "space"):
        _describe(dataset, cfg)
    _check_protocol(dataset, setting_of(cfg, "PROTOCOL"))
    dataset.untested_classes = untested_classes(dataset)
    if dataset.untested_classes:
        print(
            f"{len(dataset.untested_classes)} of {len(dataset.classnames)} known classes have no "
            f"test image, PACC is the mean over the others: {enumeration(dataset.untested_classes)}"
        )


def _describe(dataset: DatasetBase, cfg) -> None:
    for place, label in enumerate(sorted(dataset.lab2cname)):
        if place != label:
            raise DataError(
                f"{cfg.DATASET.NAME}: no training image has the label {place}, so that "
                f"{dataset.lab2cname[label]!r}, label {label}, would take its place; train on "
                "domains with every class, or set _classnames and _lab2cname in the data set"
            )
    unlabelled = dataset.train_u or dataset.train_x
    dataset._train_u = unlabelled  # Dassl's property has no setter
    known = set(range(len(dataset.classnames)))
    setting = "all" if {item.label for item in dataset.test} <= known else "as_is"
    domain = "+".join(cfg.DATASET.TARGET_DOMAINS) or cfg.DATASET.NAME
    described = {
        "title": cfg.DATASET.NAME,
        "domain": domain,
        "domains": (domain,),
        "tuning_domain": None,
        "space": SimpleNamespace(setting=setting),
        "protocol": None,  # set by _check_protocol
        "published_counts": None,
        "skipped": {},
        "matched": None,
        "unread": Unread(),
        "shots": 0,
        "split_hash": split_hash(unlabelled, dataset.test),
        "root": Path(cfg.DATASET.ROOT).expanduser().resolve(),
    }
    for name, value in described.items():
        setattr(dataset, name, value)
    _read_inputs(dataset, cfg)


def _read_inputs(dataset: DatasetBase, cfg) -> None:
    """Set `files` and `inputs`. With shots, the inputs cover the test set alone, because shots
    depend on the seed."""
    parts = [dataset.test, dataset.train_x, dataset.train_u, dataset.val or []]
    listed = [[(item.impath, item.label) for item in part] for part in parts]
    dataset.files = files_of(
        (path for part in listed for path, _ in part), dataset.root,
        cache_of(cfg, f"{cfg.DATASET.NAME}-{dataset.domain}"),
    )
    fixed = listed if cfg.DATASET.NUM_SHOTS < 1 else listed[:1]
    dataset.inputs = of_data(dataset.classnames, fixed, dataset.files, all_named=False)


def _check_protocol(dataset: DatasetBase, asked: str) -> None:
    """Set `dataset.overlap`, the tested images that are training images too, and the protocol if
    the data set has none. Raises DataError if `asked` is "independent" and does not hold."""
    tested = [item.impath for item in dataset.test]
    unlabelled = [item.impath for item in dataset.train_u]
    if asked == ONLINE and dataset.protocol != ONLINE:
        raise ConfigError(f"--protocol online: {dataset.title} is no UFTDataset, which it needs")
    if dataset.protocol in ("released", ONLINE):  # here most images are both unlabelled and tested
        both = {*unlabelled}.intersection(tested)
        dataset.overlap = Overlap([(path, path) for path in both], None)
        return
    published = getattr(dataset, "published_split", False)
    training = [*unlabelled, *(item.impath for item in dataset.train_x)]
    found = dataset.overlap = overlap(training, tested, dataset.files.contents)
    wrong = found.files if published else [*found.files, *(found.copies or [])]
    if wrong and asked == "independent":
        (train, test), number = wrong[0], f"{len(wrong)} of {len(tested)} test images"
        raise DataError(
            f"--protocol independent: {number} are training images too, the first is {test}"
            + (f", the same image as {train}" if train != test else "")
            + "; take them out of one part, or use --protocol released"
        )
    if found.copies:
        train, test = found.copies[0]
        print(f"{len(found.copies)} of {len(tested)} test images are copies of training images, "
              f"the first is {test}, a copy of {train}")
    dataset.protocol = dataset.protocol or ("released" if found.files else "independent")


def untested_classes(dataset: DatasetBase) -> list[str]:
    """Return the names of known classes without test images; none if the test set has no labels."""
    tested = {item.label for item in dataset.test}
    if tested <= {NO_LABEL}:
        return []
    return [name for label, name in enumerate(dataset.classnames) if label not in tested]


def check_labelled(trainer: str, dataset: DatasetBase) -> None:
    """Raise ConfigError if a trainer that uses labels has none, or would be tested on its labelled
    images, under any name of the file. Print how many tested images are copies of labelled ones.

    trainer: its name; dataset: after `complete`.
    """
    if any(item.label == NO_LABEL for item in dataset.train_x):
        raise ConfigError(f"{trainer} trains with labels, which {dataset.title!r} lacks")
    labelled, tested = ([i.impath for i in part] for part in (dataset.train_x, dataset.test))
    found = overlap(labelled, tested, dataset.files.contents)
    if found.files:
        remedy = "set DATASET.NUM_SHOTS, whose images leave the test set, or --protocol independent"
        if not {*labelled}.intersection(tested):
            remedy = "{1} is {0}; take one of them out".format(*found.files[0])
        raise ConfigError(
            f"{trainer} trains with labels and would be tested on the same images; {remedy}"
        )
    if found.copies and dataset.overlap.copies is None:
        train, test = found.copies[0]
        print(f"{len(found.copies)} of {len(tested)} test images are copies of labelled images, "
              f"the first is {test}, a copy of {train}")
