"""The configuration of a run: Dassl's keys, a few of ours, each trainer's own; checked.

Unknown keys and wrong types are refused with a sentence that names the file and the nearest key.
"""

import ast
import hashlib
import json
import math
from pathlib import Path

import yaml
from yacs.config import CfgNode

from ueo.errors import ConfigError
from ueo.names import nearest

DATASET_DEFAULTS = {
    "SETTING": "open_partial",  # label space: closed, partial, open, open_partial, all, as_is
    "PROTOCOL": "released",  # "released": test on the whole domain; "independent": stored split
    "CHECK_COUNTS": True,  # stop unless a domain holds the published number of images
    "SUBSAMPLE_CLASSES": "all",  # of the known classes: all, base (the first half), new (the rest)
    "BAD_IMAGES": "stop",  # "stop" at an image that cannot be read, or "skip" and report it
    "PATH": "",  # of images of one's own (data sets folder and list)
    "NAMES": "",  # file with the known class names of one's own images
    "STORE": "",  # folder of the decoded images; "": .decoded in the data root
    "STORE_GB": None,  # what they may take; None: derived from what is free, 0: none are kept
    "PLAIN_TRANSFORM": False,  # True: Pillow's resizing in training too, as released, for checks
}
TEST_DEFAULTS = {
    "KEEP_OUTPUTS": False,  # write features.npz, from which any OOD score can be computed later
}
OWN_DEFAULTS = {"DATASET": DATASET_DEFAULTS, "TEST": TEST_DEFAULTS}
# keys that do not change what a run computes
VOLATILE = (
    "OUTPUT_DIR",
    "RESUME",
    "VERBOSE",
    "DATASET.ROOT",
    "DATASET.CHECK_COUNTS",
    "DATASET.STORE",
    "DATASET.STORE_GB",
    "TEST.KEEP_OUTPUTS",
    "DATALOADER.NUM_WORKERS",
    "TRAIN.PRINT_FREQ",
    "TRAIN.CHECKPOINT_FREQ",
)


def extend(cfg: CfgNode, trainers: dict[str, type]) -> CfgNode:
    """Add our own keys and, for each trainer that declares `defaults`, TRAINER.<NAME>."""
    for node, defaults in OWN_DEFAULTS.items():
        for key, value in defaults.items():
            cfg[node][key] = value
    for name, trainer in trainers.items():
        if hasattr(trainer, "defaults"):
            cfg.TRAINER[name] = CfgNode(dict(trainer.defaults))
    return cfg


def setting_of(cfg: CfgNode, key: str, node: str = "DATASET"):
    """<node>.<key> of ours, or its default in a configuration that was not extended."""
    return cfg[node].get(key, OWN_DEFAULTS[node][key])


def options_of(cfg: CfgNode, name: str, defaults: dict) -> CfgNode:
    """TRAINER.<name>, with `defaults` where the configuration was not extended."""
    return CfgNode({**defaults, **cfg.TRAINER.get(name, {})})


def read_yaml(path: str) -> dict:
    """Keys and values of a yaml file. Raises ConfigError for a missing file or bad yaml."""
    try:
        loaded = yaml.safe_load(Path(path).read_text()) or {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid yaml ({str(error).splitlines()[0]})") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(loaded).__name__}")
    return loaded


def merge_file(cfg: CfgNode, path: str) -> None:
    """Merge a yaml file. Raises ConfigError for a missing file, bad yaml, key or type."""
    for key, value in flatten(read_yaml(path)).items():
        set_key(cfg, key, value, path)


def merge_options(cfg: CfgNode, options: list[str]) -> None:
    """Merge KEY VALUE pairs from the command line."""
    if len(options) % 2:
        raise ConfigError(f"options are KEY VALUE pairs, but {options[-1]!r} has no value")
    for key, value in zip(options[::2], options[1::2]):
        set_key(cfg, key, value, "command line")


def refuse_empty(cfg: CfgNode, defaults: dict) -> None:
    """Raise ConfigError for a key without a value (`KEY:` in a yaml) whose default has one."""
    for key, value in flatten(cfg).items():
        if value is None and defaults.get(key) is not None:
            raise ConfigError(f"{key} has no value; its default is {defaults[key]!r}")


def set_key(cfg: CfgNode, key: str, value, origin: str) -> None:
    """Set one dotted key to a value of the type it has. Raises ConfigError, naming `origin`."""
    known = flatten(cfg)
    if key not in known:
        raise ConfigError(f"{origin}: unknown key {key}{nearest(key, known)}")
    *path, leaf = key.split(".")
    node = cfg
    for part in path:
        node = node[part]
    node[leaf] = _coerce(value, known[key], key, origin)


def _coerce(value, old, key: str, origin: str):
    """`value` in the type of `old`; strings are read as Python literals, as yacs does."""
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            pass
    if isinstance(old, str) and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(old, (tuple, list)) and isinstance(value, (tuple, list)):
        value = type(old)(value)
    if old is not None and value is not None and type(value) is not type(old):
        raise ConfigError(
            f"{origin}: {key} takes a {type(old).__name__} like {old!r}, not {value!r}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{origin}: {key} must be a finite number, not {value!r}")
    return value


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
    """The keys that decide what a run computes, flat: other trainers' options left out, unless the
    trainer has no TRAINER.<NAME> and may read any, as CoOp reads TRAINER.COOP."""
    flat = flatten(cfg)
    own = f"TRAINER.{cfg.TRAINER.NAME}." if cfg.TRAINER.NAME in cfg.TRAINER else "TRAINER."
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in sorted(flat.items())
        if key not in VOLATILE
        and (not key.startswith("TRAINER.") or key.startswith(own) or key == "TRAINER.NAME")
    }


def config_hash(flat: dict) -> str:
    """Short hash of a resolved configuration."""
    return hashlib.sha256(json.dumps(flat, sort_keys=True).encode()).hexdigest()[:16]


def difference(old: dict, new: dict) -> str:
    """The first keys in which two resolved configurations differ, for a message."""
    keys = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
    parts = [f"{k}: {old.get(k)!r} -> {new.get(k)!r}" for k in keys[:3]]
    return "; ".join(parts) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")
