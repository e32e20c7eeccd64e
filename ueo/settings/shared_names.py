"""Trainers whose name other code registers too: CoOp's repository its CoOp, Dassl its EntMin.

In our train.py the name means ours. In somebody else's it stays theirs, wherever in it the line
`import ueo.plugin` stands, and ours is called UFT<name>, as our data sets are.
"""

from dassl.engine import TRAINER_REGISTRY
from dassl.utils import Registry

SHARED = Registry("TRAINER, names that others use")  # trainers are registered here instead
PREFIX = "UFT"


def take_names() -> None:
    """Register each under its own name, in place of who has it."""
    for name in SHARED.registered_names():
        TRAINER_REGISTRY.register(SHARED.get(name), force=True)


def take_other_names() -> None:
    """Register each as UFT<name>, with options of that name; unless its own name is taken already,
    by `take_names`."""
    taken = TRAINER_REGISTRY.registered_names()
    for name in SHARED.registered_names():
        trainer = SHARED.get(name)
        if name not in taken or TRAINER_REGISTRY.get(name) is not trainer:
            renamed = type(PREFIX + name, (trainer,), {"__module__": trainer.__module__})
            TRAINER_REGISTRY.register(renamed, force=True)
