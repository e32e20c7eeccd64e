"""AdaBN: use the target's statistics in the batch normalisation layers of a trained model.

Li et al., Revisiting Batch Normalization for Practical Domain Adaptation, ICLR workshop 2017.
"""

import os.path as osp

import torch
from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.trainer import TrainerXU
from dassl.utils import ConfigValueError
from torch import nn


def check_source_weights(cfg, name: str) -> None:
    """Raise ConfigValueError unless MODEL.INIT_WEIGHTS is a file."""
    if not osp.isfile(cfg.MODEL.INIT_WEIGHTS):
        raise ConfigValueError(
            f"{name} adapts a trained model: set MODEL.INIT_WEIGHTS to its weights, not "
            f"{cfg.MODEL.INIT_WEIGHTS!r}"
        )


@TRAINER_REGISTRY.register()
class AdaBN(TrainerXU):
    """Replaces the source's statistics by those of the target images; trains no weights."""

    def check_cfg(self, cfg) -> None:
        check_source_weights(cfg, "AdaBN")

    def before_epoch(self) -> None:
        if self.epoch == 0:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.reset_running_stats()

    @torch.no_grad()
    def forward_backward(self, batch_x, batch_u) -> None:
        self.model(batch_u["img"].to(self.device))
