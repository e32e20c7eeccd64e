"""Configuration: yacs nodes with the defaults of Dassl."""

from dassl.config.defaults import _C as cfg_default
from yacs.config import CfgNode


def get_cfg_default() -> CfgNode:
    """A fresh copy of the defaults, free to be changed."""
    return cfg_default.clone()


def clean_cfg(cfg: CfgNode, trainer: str) -> None:
    """Remove the options of every trainer but `trainer`, in place."""
    for name in list(cfg.TRAINER):
        if name not in ("NAME", trainer, trainer.upper()):
            del cfg.TRAINER[name]
