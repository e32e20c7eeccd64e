"""`import ueo.plugin` registers all trainers and data sets of this project with Dassl.

It is the one line to add to any Dassl-based train.py (docs/plugin.md). Trainer names that other
code uses are left to it there: our CoOp is UFTCoOp.
"""

import modern_dassl  # noqa: F401  isort: skip  (makes `dassl` importable)

from dassl.engine import TRAINER_REGISTRY
from yacs.config import CfgNode

import ueo.datasets  # noqa: F401
import ueo.runs.evaluator  # noqa: F401
import ueo.trainers  # noqa: F401
from ueo.settings import config
from ueo.settings.shared_names import take_other_names

take_other_names()


def extend_cfg(cfg: CfgNode) -> CfgNode:
    """Add our keys to `cfg`, for yaml files and KEY VALUE pairs: those of
    ueo/settings/known_keys.py and TRAINER.<NAME> for every trainer with `defaults`."""
    names = TRAINER_REGISTRY.registered_names()
    return config.extend(cfg, {name: TRAINER_REGISTRY.get(name) for name in names})
