"""Configuration: yacs nodes with the defaults of Dassl."""

from dassl.config.defaults import _C as cfg_default
from yacs.config import CfgNode

from modern_dassl.lent_names import lend_below


def get_cfg_default() -> CfgNode:
    """Return a new copy of the defaults, which may be changed."""
    return cfg_default.clone()


def clean_cfg(cfg: CfgNode, trainer: str) -> None:
    """Remove the options of every trainer except `trainer`, in place."""
    for name in list(cfg.TRAINER):
        if name not in ("NAME", trainer, trainer.upper()):
            del cfg.TRAINER[name]


lend_below(__name__)
