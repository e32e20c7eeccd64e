"""Mistakes that a user can mend: one sentence each. ueo/runs/status.py makes an exit
status of them."""

import os


class UserError(Exception):
    """Base of the errors whose message is meant for the user, without a traceback."""


class ConfigError(UserError):
    """An option, a configuration key or a name is wrong."""


class UndeclaredOption(ConfigError, AttributeError):
    """A trainer asks for an option that its `defaults` do not hold."""


def refuse(where: str, *reasons: tuple[bool, str]) -> None:
    """Raise ConfigError, beginning with `where`, for the first of these reasons that holds."""
    for holds, what in reasons:
        if holds:
            raise ConfigError(f"{where}: {what}")


class DataError(UserError):
    """A data set, an image or a path is missing or damaged."""


class CheckpointError(UserError):
    """Weights or a checkpoint are missing, damaged or belong to another model."""


def reason(error: OSError) -> str:
    """What the system says, after the file where it names one."""
    words = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {words}" if error.filename else words


def first_line(error: BaseException) -> str:
    """What is wrong in one line: the message's first, or the error's name where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def first_lines(error: BaseException) -> str:
    """The first two lines of a message as one, or the error's type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else type(error).__name__


def unread(path: str | os.PathLike, error: Exception, otherwise: str) -> str:
    """That a file cannot be read, and what the system says, or `otherwise` where it says nothing.
    """
    why = getattr(error, "strerror", None) or otherwise
    sought = from_here(str(path)) if isinstance(error, FileNotFoundError) else ""
    return f"{path}: cannot be read ({why}){sought}"


def from_here(path: str) -> str:
    """Where a relative path was looked for, since scripts change to their own folder; else ""."""
    path = os.path.expanduser(path)
    return "" if os.path.isabs(path) else f" (a relative path, looked for in {os.getcwd()})"
