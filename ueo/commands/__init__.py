"""What people type: each module reads the arguments of one command and calls the library.

    python -m ueo.commands grid office_home --trainers ZeroshotCLIP UEO
"""

import importlib
from types import ModuleType

STUDIES = ("ablations", "bench", "online", "ood_study", "robust", "wise_ft")  # in studies/


def module_of(name: str) -> ModuleType:
    """The module of a command, with its parser() and main()."""
    room = "ueo.commands.studies" if name in STUDIES else "ueo.commands"
    return importlib.import_module(f"{room}.{name}")
