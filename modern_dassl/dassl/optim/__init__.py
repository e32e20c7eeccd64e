"""Optimizers and learning-rate schedulers by configuration."""

from dassl.optim.lr_scheduler import build_lr_scheduler
from dassl.optim.optimizer import build_optimizer

from modern_dassl.lent_names import lend_below

lend_below(__name__)
