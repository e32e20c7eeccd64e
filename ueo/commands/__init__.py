"""What people type: each module reads the arguments of one command and calls the library.

    python -m ueo.commands grid office_home --trainers ZeroshotCLIP UEO
"""

import argparse
import importlib
from types import ModuleType

STUDIES = ("ablations", "bench", "online", "ood_study", "robust", "wise_ft")  # in studies/


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Append each option's default to its help; a list replaces a "(default: ...)" in the text."""

    def _get_help_string(self, action: argparse.Action) -> str:
        default = action.default
        if default is None or default is False or default in ("", (), []):
            return action.help
        if isinstance(default, list | tuple):
            said = action.help.partition(" (default: ")[0]
            return f"{said} (default: {' '.join(map(str, default))})"
        return super()._get_help_string(action)


def module_of(name: str) -> ModuleType:
    """Import the module of a command; it has parser() and main()."""
    room = "ueo.commands.studies" if name in STUDIES else "ueo.commands"
    return importlib.import_module(f"{room}.{name}")
