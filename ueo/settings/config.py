"""The configuration of a run: Dassl's keys, a few of ours, each trainer's own; checked.

An unknown key, or a value that the key's declaration (ueo/settings/options.py) rejects, raises an
error that names the file and the valid choices.
"""

import copy
import hashlib
import json
from dataclasses import replace

from dassl.config import get_cfg_default
from yacs.config import CfgNode

from ueo.errors import ConfigError, UndeclaredOption
from ueo.names import did_you_mean
from ueo.settings.known_keys import DASSL, ONLINE, OWN, SHARDED
from ueo.settings.options import Option, declared, quoted
from ueo.settings.yaml_files import read_yaml

COMMAND_LINE = "command line"

# keys that do not change what a run computes
VOLATILE = (
    "OUTPUT_DIR",
    "RESUME",
    "VERBOSE",
    "DATASET.ROOT",
    "DATASET.CHECK_COUNTS",
    "DATASET.UNTESTED_CLASSES",
    "DATASET.RECURSIVE",  # the images that it finds are among a run's inputs
    "DATASET.STORE",
    "DATASET.STORE_GB",
    "DATASET.DEVICE_GB",
    "TEST.KEEP_OUTPUTS",
    "TEST.KEEP_NEGATIVES",
    "DATALOADER.NUM_WORKERS",
    "TRAIN.PRINT_FREQ",
    "TRAIN.CHECKPOINT_FREQ",
)


def decides(key: str) -> bool:
    """Whether a key may change what a run computes."""
    return key not in VOLATILE and not key.endswith(".GRAPH")  # of a trainer's own options


def extend(cfg: CfgNode, trainers: dict[str, type]) -> CfgNode:
    """Add our own keys and, for each trainer that declares `defaults`, TRAINER.<NAME>."""
    for node, options in OWN.items():
        cfg.setdefault(node, CfgNode())
        for key, option in options.items():
            cfg[node][key] = option.default
    for name, trainer in trainers.items():
        if hasattr(trainer, "defaults"):
            node = cfg.TRAINER[name] = CfgNode()
            for key, option in declared(trainer).items():
                node[key] = copy.deepcopy(option.default)
    return cfg


def declarations(cfg: CfgNode, trainers: dict[str, type]) -> dict[str, Option]:
    """Return {dotted key: Option} for every key of an extended configuration of default values.
    An undeclared key, such as a plug-in's, takes the type of its default."""
    known = {**flatten(DASSL), **flatten(OWN)}
    for name, trainer in trainers.items():
        if hasattr(trainer, "defaults"):
            known.update(flatten({"TRAINER": {name: declared(trainer)}}))
    found = {}
    for key, value in flatten(cfg).items():
        option = known.get(key, Option())
        found[key] = option if option.default is value else replace(option, default=value)
    return found


def setting_of(cfg: CfgNode, key: str, node: str = "DATASET"):
    """Return the value of our key <node>.<key>, or its default if `cfg` was not extended."""
    option = OWN[node][key]
    return option.checked(cfg.get(node, {}).get(key, option.default), f"{node}.{key}")


def is_online(cfg: CfgNode) -> bool:
    """Whether the images come as a stream."""
    return setting_of(cfg, "PROTOCOL") == ONLINE


def is_sharded(cfg: CfgNode) -> bool:
    """Whether the images are in shards."""
    return cfg.DATASET.NAME == SHARDED


class TrainerOptions(CfgNode):
    """A trainer's own options. Reading an undeclared one raises UndeclaredOption."""

    def __getattr__(self, key: str):
        if key in self:
            return self[key]
        name = self.__dict__.get("trainer", "")
        raise UndeclaredOption(
            f"{name} asks for its option {key}, which {name}.defaults does not declare"
            f"{did_you_mean(key, self)}"
        )


def options_of(cfg: CfgNode, trainer: type) -> TrainerOptions:
    """Return TRAINER.<NAME> of a trainer, with its defaults if `cfg` was not extended."""
    name, found = trainer.__name__, {}
    given = cfg.TRAINER.get(name, {})
    for key, option in declared(trainer).items():
        value = given.get(key, option.default)
        found[key] = option.checked(value, f"TRAINER.{name}.{key}")
    options = TrainerOptions({**given, **found})
    options.__dict__["trainer"] = name
    return options


def merge_file(cfg: CfgNode, path: str, known: dict[str, Option]) -> None:
    """Merge a yaml file. Raises ConfigError for a missing file, bad yaml, or a bad key or value."""
    for key, value in read_yaml(path).items():
        set_key(cfg, key, value, path, known)


def set_key(cfg: CfgNode, key: str, value, origin: str, known: dict[str, Option]) -> None:
    """Set a dotted key. Raises ConfigError, naming `origin`, for an unknown key or a bad value."""
    if key not in known:
        raise ConfigError(
            f"{origin}: unknown key {quoted(key)[1:-1]}{did_you_mean(key[:80], known)}"
        )
    put(cfg, key, known[key].checked(value, f"{origin}: {key}"))


def put(cfg: CfgNode, key: str, value) -> None:
    """Set one dotted key to a checked value."""
    *path, leaf = key.split(".")
    node = cfg
    for part in path:
        node = node[part]
    node[leaf] = value


def check(cfg: CfgNode, known: dict[str, Option]) -> None:
    """Raise ConfigError if any key has a bad value, whatever set it."""
    for key, value in flatten(cfg).items():
        if key in known:
            known[key].checked(value, key)


def flatten(tree: dict, prefix: str = "") -> dict:
    """{"A": {"B": 1}} -> {"A.B": 1}."""
    flat = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, name + "."))
        else:
            flat[name] = value
    return flat


def resolved(cfg: CfgNode) -> dict:
    """Return, flat, the keys that decide what a run computes.

    Left out are options of other trainers, unless this one has no TRAINER.<NAME> and may read any,
    as CoOp reads TRAINER.COOP; default options of Dassl's trainers; ONLINE under another protocol;
    and SHARDS on another data set.
    """
    flat = flatten(cfg)
    own = f"TRAINER.{cfg.TRAINER.NAME}." if cfg.TRAINER.NAME in cfg.TRAINER else "TRAINER."
    for key, value in flatten({"TRAINER": get_cfg_default().TRAINER}).items():
        if key != "TRAINER.NAME" and flat.get(key) == value:
            del flat[key]
    idle = ("ONLINE.",) * (not is_online(cfg)) + ("SHARDS.",) * (not is_sharded(cfg))
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in sorted(flat.items())
        if decides(key)
        and (not key.startswith("TRAINER.") or key.startswith(own) or key == "TRAINER.NAME")
        and not key.startswith(idle)
    }


def config_hash(flat: dict) -> str:
    """Return a short hash of a resolved configuration."""
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:16]


def difference(old: dict, new: dict) -> str:
    """Describe the first keys in which two resolved configurations differ."""
    keys = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    parts = [f"{k}: {old.get(k)!r} -> {new.get(k)!r}" for k in keys[:3]]
    return "; ".join(parts) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")
