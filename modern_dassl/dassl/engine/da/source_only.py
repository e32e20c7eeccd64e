"""The baseline of domain adaptation."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.dg.vanilla import Supervised
from dassl.engine.trainer import TrainerXU


@TRAINER_REGISTRY.register()
class SourceOnly(Supervised, TrainerXU):
    """Trains on the source domains; target images only count iterations."""
