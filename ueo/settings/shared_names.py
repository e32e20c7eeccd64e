"""Trainers whose name other code registers too, such as CoOp in its repository, EntMin in Dassl.

In our train.py the name means our trainer. In anybody else's train.py it means theirs, wherever
`import ueo.plugin` is placed, and ours is UFT<name>, as with our data sets.
"""

from dassl.engine import TRAINER_REGISTRY
from dassl.utils import Registry

SHARED = Registry("TRAINER, names that others use")  # trainers are registered here instead
PREFIX = "UFT"


def take_names() -> None:
    """Register each trainer under its own name, replacing any other."""
    for name in SHARED.registered_names():
        TRAINER_REGISTRY.register(SHARED.get(name), force=True)


def take_other_names() -> None:
    """Register each trainer as UFT<name>, with options of that name, unless `take_names` already
    registered it under its own name."""
    taken = TRAINER_REGISTRY.registered_names()
    for name in SHARED.registered_names():
        trainer = SHARED.get(name)
        if name not in taken or TRAINER_REGISTRY.get(name) is not trainer:
            renamed = type(PREFIX + name, (trainer,), {"__module__": trainer.__module__})
            TRAINER_REGISTRY.register(renamed, force=True)
