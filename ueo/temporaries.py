"""Temporary files and folders beside their destination; those of dead processes are removed.

A process locks its temporaries while it lives, so that others can tell stale ones. On a file system
without locks, none counts as stale.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

RANDOM = r"[a-z0-9_]{8}"  # what tempfile puts between prefix and suffix


@contextmanager
def temporary_file(folder: Path, prefix: str, suffix: str = "") -> Iterator[Path]:
    """Yield an empty file in `folder`, removed at the end unless it was renamed."""
    with _locked(folder, prefix, suffix, _new_file) as path:
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder in `folder`, removed at the end with its contents."""
    with _locked(folder, prefix, "", tempfile.mkdtemp) as path:
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait for the lock on `file` and hold it, among all processes and threads of a machine. If the
    file does not exist, go on without a lock. `files.exclusive` polls every 50 ms; this function
    wakes up at once, for locks that many take many times a second.
    """
    handle = _lock(file, wait=True)
    try:
        yield
    finally:
        if handle is not None:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing would not do: a forked child may hold it
        _close(handle)


def sweep(folder: Path, prefix: str, suffix: str = "") -> None:
    """Remove the stale temporaries of this prefix and suffix from `folder`."""
    form = re.compile(re.escape(prefix) + RANDOM + re.escape(suffix))
    with suppress(OSError):
        for name in os.listdir(folder):
            if form.fullmatch(name):
                _remove_if_left(folder / name)


@contextmanager
def _locked(folder: Path, prefix: str, suffix: str, new) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, prefix, suffix)
    while True:
        path = Path(new(dir=folder, prefix=prefix, suffix=suffix))
        handle = _lock(path, wait=True)
        if path.exists():  # else another process swept it before it was locked
            break
        _close(handle)
    try:
        yield path
    finally:
        _close(handle)


def _new_file(**options) -> str:
    handle, name = tempfile.mkstemp(**options)
    os.close(handle)
    return name


def _lock(path: Path, wait: bool) -> int | None:
    """Return a handle that holds the lock; None if another holds it or there are no locks."""
    if not fcntl:
        return None
    handle = None
    try:
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return handle
    except OSError:
        _close(handle)
        return None


def _close(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _remove_if_left(path: Path) -> None:
    handle = _lock(path, wait=False)
    if handle is None:
        return
    try:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    finally:
        _close(handle)
