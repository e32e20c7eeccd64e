"""Optimizers and learning-rate schedulers by configuration."""

from dassl.optim.lr_scheduler import build_lr_scheduler
from dassl.optim.optimizer import build_optimizer
