"""Copy standard output to a log file; the console itself is never closed."""

import os
import sys
import time
from contextlib import suppress

from modern_dassl import distributed


class Logger:
    """Replaces sys.stdout and writes to the console and to a file.

    fpath: the log file, which is overwritten; None for the console only.
    """

    def __init__(self, fpath: str | None = None):
        self.console = sys.stdout
        self.file = None
        if fpath is not None:
            os.makedirs(os.path.dirname(os.path.abspath(fpath)), exist_ok=True)
            self.file = open(fpath, "w", encoding="utf-8")  # noqa: SIM115 (lives with the process)

    def write(self, msg: str) -> int:
        """Write to both; skip a console that somebody else closed."""
        if not getattr(self.console, "closed", False):
            self.console.write(msg)
        if self.file is not None:
            self._copy(msg)
        return len(msg)

    def _copy(self, text: str) -> None:
        try:
            self.file.write(text)
            if "\n" in text:
                self.file.flush()  # a killed run keeps its log
        except OSError as error:
            error.filename = error.filename or self.file.name  # a full disk names no file
            with suppress(OSError):  # drop what could not be written
                self.close()
            raise

    def writelines(self, lines) -> None:
        """Write every line."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush both."""
        if not getattr(self.console, "closed", False):
            self.console.flush()
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """Close the file; the console stays open, since it was not opened here."""
        if self.file is not None:
            file, self.file = self.file, None
            file.close()

    def __enter__(self) -> "Logger":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def __getattr__(self, name: str):
        # isatty, fileno, encoding, errors, buffer, ...: the console's own
        if name in ("console", "file"):
            raise AttributeError(name)
        return getattr(self.console, name)


def setup_logger(output: str | None = None) -> None:
    """Copy standard output into `output`.

    output: a file that ends in .txt or .log, or a folder for log.txt. An existing log is kept: the
    new one gets the date as a suffix. None or "" changes nothing. A second call ends the log of the
    first. Under torchrun only the main process writes a log.
    """
    if not output or not distributed.is_main():
        return
    is_file = output.endswith((".txt", ".log"))
    path = output if is_file else os.path.join(output, "log.txt")
    if os.path.exists(path):
        path = _unused(path + time.strftime("-%Y-%m-%d-%H-%M-%S"))
    while isinstance(sys.stdout, Logger):
        previous, sys.stdout = sys.stdout, sys.stdout.console
        previous.close()
    sys.stdout = Logger(path)


def _unused(path: str) -> str:
    """Return `path`, with a number if two logs begin within a second."""
    number, candidate = 1, path
    while os.path.exists(candidate):
        number += 1
        candidate = f"{path}-{number}"
    return candidate
