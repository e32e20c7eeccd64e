"""One process at a time, between processes of one machine or of one shared file system."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def exclusive(file: Path):
    """Hold the lock `file`, after waiting for whoever holds it; it goes when its holder dies.

    Without a lock where the system has none or the folder cannot be written.
    """
    try:
        handle = os.open(file, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError:
        yield
        return
    try:
        if fcntl:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
