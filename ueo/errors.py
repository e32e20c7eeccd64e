"""Errors that a user can fix; ueo/runs/status.py prints each as one line and sets the status."""

import os


class UserError(Exception):
    """Base class of errors that are shown to the user without a traceback."""


class ConfigError(UserError):
    """An option, a configuration key or a name is wrong."""


class UndeclaredOption(ConfigError, AttributeError):
    """A trainer reads an option that its `defaults` do not declare."""


def refuse(where: str, *reasons: tuple[bool, str]) -> None:
    """Raise ConfigError for the first of `reasons`, (condition, message), whose condition holds.
    The message begins with `where`."""
    for holds, what in reasons:
        if holds:
            raise ConfigError(f"{where}: {what}")


class DataError(UserError):
    """A data set, an image or a path is missing or damaged."""


class CheckpointError(UserError):
    """Weights or a checkpoint are missing, damaged or belong to another model."""


def reason(error: OSError) -> str:
    """Return the system's error message, preceded by the file if the error names one."""
    words = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {words}" if error.filename else words


def first_line(error: BaseException) -> str:
    """Return the first line of the error's message, or the error's type if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def first_lines(error: BaseException) -> str:
    """Return the first two lines of the message as one, or the error's type if it is empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__


def unread(path: str | os.PathLike, error: Exception, otherwise: str) -> str:
    """Return the message that `path` cannot be read. The reason is the system's, or `otherwise` if
    the error has none."""
    why = getattr(error, "strerror", None) or otherwise
    sought = from_here(str(path)) if isinstance(error, FileNotFoundError) else ""
    return f"{path}: cannot be read ({why}){sought}"


def from_here(path: str) -> str:
    """Say where a relative path was looked for (scripts change folders); "" for an absolute one."""
    path = os.path.expanduser(path)
    return "" if os.path.isabs(path) else f" (a relative path, looked for in {os.getcwd()})"
