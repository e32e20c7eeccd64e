"""Data sets that were not written for this project, such as Dassl's own and those of CoOp.

They give `train_x`, sometimes `train_u`, and `test`, but no label space, protocol or split hash.
"""

import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

from dassl.data.datasets import DatasetBase, Datum

from ueo.errors import ConfigError
from ueo.inputs import Inputs, cache_of, of_data
from ueo.lists import NO_LABEL
from ueo.trees import Unread


def split_hash(*parts: list[Datum]) -> str:
    """Hash of what is unlabelled and what is tested; equal hashes may be averaged."""
    lists = [[(os.path.basename(i.impath), i.label) for i in part] for part in parts]
    return hashlib.sha256(json.dumps(lists).encode()).hexdigest()[:16]


def adopt(dataset: DatasetBase, cfg) -> None:
    """Give `dataset`, in place, what a UFTDataset has; one that has it is left alone.

    Without `train_u`, the unlabelled images are those of `train_x`: an unsupervised trainer sees
    no label of them. The label space is "all" unless labels without a class name are tested, which
    are out-of-distribution then.
    """
    if hasattr(dataset, "space"):
        return
    unlabelled = dataset.train_u or dataset.train_x
    dataset._train_u = unlabelled  # Dassl's data sets have no other way to set it later
    known = set(range(len(dataset.classnames)))
    setting = "all" if {item.label for item in dataset.test} <= known else "as_is"
    seen = {item.impath for item in unlabelled}
    tested = any(item.impath in seen for item in dataset.test)
    domain = "+".join(cfg.DATASET.TARGET_DOMAINS) or cfg.DATASET.NAME
    described = {
        "title": cfg.DATASET.NAME,
        "domain": domain,
        "domains": (domain,),
        "tuning_domain": None,
        "space": SimpleNamespace(setting=setting),
        "protocol": "released" if tested else "independent",
        "published_counts": None,
        "skipped": {},
        "matched": None,
        "unread": Unread(),
        "shots": 0,
        "split_hash": split_hash(unlabelled, dataset.test),
        "root": Path(cfg.DATASET.ROOT).expanduser().resolve(),
    }
    described["inputs"] = _inputs(dataset, described["root"], cache_of(cfg, domain), cfg)
    for name, value in described.items():
        setattr(dataset, name, value)


def _inputs(dataset: DatasetBase, root: Path, cache: Path, cfg) -> Inputs:
    """Of what is read whatever the seed; shots are drawn from it and are left out."""
    parts = [dataset.test]
    if cfg.DATASET.NUM_SHOTS < 1:
        parts += [dataset.train_x, dataset.train_u or [], dataset.val or []]
    listed = [[(item.impath, item.label) for item in part] for part in parts]
    return of_data(dataset.classnames, listed, root, cache)


def check_labelled(trainer: str, dataset: DatasetBase) -> None:
    """Raise ConfigError where a trainer that uses labels lacks them, or has those it is tested on.

    trainer: its name; dataset: adopted.
    """
    if any(item.label == NO_LABEL for item in dataset.train_x):
        raise ConfigError(f"{trainer} trains with labels, which {dataset.title!r} lacks")
    if {i.impath for i in dataset.train_x} & {i.impath for i in dataset.test}:
        raise ConfigError(
            f"{trainer} trains with labels and would be tested on the same images; set "
            "DATASET.NUM_SHOTS, whose images leave the test set, or --protocol independent"
        )
