"""Mistakes that a user can mend: one sentence each, all of them a DasslError.

Each is also the built-in error of its kind, which callers of the API may already catch.
"""

import difflib
from collections.abc import Iterable

from modern_dassl import left_out


class DasslError(Exception):
    """Base of the errors whose message is meant for the user, without a traceback."""


class ConfigValueError(DasslError, ValueError):
    """A configuration key, an argument or a name has a value that cannot be used."""


class ConfigTypeError(DasslError, TypeError):
    """An argument is of a type that cannot be used."""


class MissingFileError(DasslError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class DataValueError(DasslError, ValueError):
    """A data set is empty or contradicts itself."""


class CheckpointReadError(DasslError, RuntimeError):
    """A checkpoint is damaged, refused, or belongs to another model."""


class CheckpointWriteError(DasslError, RuntimeError):
    """A checkpoint could not be written; torch does not say why."""


class RegistryKeyError(DasslError, KeyError):
    """A name is registered twice, or not at all."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would show the quoted form


class LossError(DasslError, FloatingPointError):
    """The loss is infinite or not a number."""


def nearest(name: str, known: Iterable[str]) -> str:
    """"; did you mean 'X'?" for the known name closest to `name`; "; X is not part of ..." for what
    only Dassl has; or "" when none is close."""
    if said := left_out.sentence(str(name)):
        return f"; {said}"
    lowered = {str(k).lower(): str(k) for k in known}
    match = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.5)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""
