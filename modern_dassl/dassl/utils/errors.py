"""Errors that a user can fix, with one-sentence messages; all derive from DasslError.

Each also derives from a built-in error, which callers of the API may already catch.
"""

import difflib
from collections.abc import Iterable

from modern_dassl import left_out


class DasslError(Exception):
    """Base of errors whose message is for the user, without a traceback."""


class ConfigValueError(DasslError, ValueError):
    """A configuration key, an argument or a name has an invalid value."""


class ConfigTypeError(DasslError, TypeError):
    """An argument has an invalid type."""


class MissingFileError(DasslError, FileNotFoundError):
    """A named file or folder does not exist."""


class DataValueError(DasslError, ValueError):
    """A data set is empty or contradicts itself."""


class CheckpointReadError(DasslError, RuntimeError):
    """A checkpoint is damaged, refused, or belongs to another model."""


class CheckpointWriteError(DasslError, RuntimeError):
    """A checkpoint could not be written, for a reason that torch does not report."""


class RegistryKeyError(DasslError, KeyError):
    """A name is registered twice, or not at all."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would show the quoted form


class LossError(DasslError, FloatingPointError):
    """The loss is infinite or not a number."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'X'?" with the known name closest to `name`; "; X is not part of ..."
    if only Dassl has it; or "" if none is close."""
    if said := left_out.sentence(str(name)):
        return f"; {said}"
    lowered = {str(k).lower(): str(k) for k in known}
    match = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.5)
    return f"; did you mean {lowered[match[0]]!r}?" if match else ""
