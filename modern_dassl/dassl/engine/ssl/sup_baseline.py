"""The baseline of semi-supervised learning."""

from dassl.engine.build import TRAINER_REGISTRY
from dassl.engine.dg.vanilla import Supervised
from dassl.engine.trainer import TrainerXU


@TRAINER_REGISTRY.register()
class SupBaseline(Supervised, TrainerXU):
    """Trains on the labelled images; unlabelled ones only count iterations."""
