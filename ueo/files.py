"""Write files atomically, read them safely, compute checksums and hold file locks.

A damaged file raises an error of one line that names it.
"""

import hashlib
import itertools
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from ueo.errors import ConfigError, DataError, first_line
from ueo.temporaries import temporary_file


def asset(name: str) -> Path:
    """Return a file of assets/: beside the package in the repository, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "assets", package / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"assets/{name} is missing from this installation")


def check_writable(folder: Path, option: str = "--output-dir") -> None:
    """Make the folder of results. Raises ConfigError, which names the option, if the folder or a
    file in it cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {folder}: cannot be written ({error.strerror})") from error


def check_file(path: Path, option: str = "") -> None:
    """Raise ConfigError, which names the option, if `path` exists and is no regular file: writing
    would replace a device."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ConfigError(f"{option} {path}: is {what}; name a file".strip())


@contextmanager
def writing(path: str | Path):
    """Add `path` to a system error that names no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def saving(path: str | Path):
    """Turn an error of torch or safetensors while writing `path` into a DataError that names it."""
    try:
        with writing(path):
            yield
    except (RuntimeError, SafetensorError) as error:
        why = first_line(error)
        raise DataError(f"{path}: not written, is the disk full? ({why})") from error


@contextmanager
def atomic_path(path: str | Path):
    """Yield a temporary path beside `path`, renamed to `path` only if the block succeeds.

    Temporary files of killed processes for the same `path` are removed. Raises ConfigError if
    `path` is a folder or a device.
    """
    path = Path(path)
    check_file(path)
    with temporary_file(path.parent, f".{path.stem}-", path.suffix) as temporary, writing(path):
        yield temporary
        os.chmod(temporary, 0o644)  # tempfile's 0600 would lock out other users of a cluster
        os.replace(temporary, path)


def set_aside(path: str | Path) -> Path | None:
    """Back up a file before it is replaced: append the date of its last change to its name.
    Returns the new path, or None if there is no file."""
    path = Path(path)
    if not path.is_file():
        return None
    date = time.strftime("-%Y-%m-%d-%H-%M-%S", time.localtime(path.stat().st_mtime))
    named = (path.with_name(f"{path.name}{date}{f'-{i}' * (i > 1)}") for i in itertools.count(1))
    return path.rename(next(new for new in named if not new.exists()))


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data) -> None:
    """Write `data` as indented JSON, atomically. Raises ValueError for NaN, which is not JSON."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def store_json(path: str | Path, data, otherwise: str) -> None:
    """Write `data`, which can be computed again, as JSON. If the file cannot be written, print a
    line that ends with `otherwise`."""
    try:
        write_json(path, data)
    except OSError as error:
        print(f"{path}: cannot be stored ({error.strerror}); {otherwise}")


def file_version(path: str | Path) -> tuple[int, int, int] | None:
    """Return (size, mtime, ctime) of a regular file, or None if there is none. The ctime reveals
    even a replacement that keeps the mtime."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def digests(path: str | Path, *algorithms) -> list[str]:
    """Return hexadecimal digests of a file, read once. algorithms: new hashlib objects."""
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            for algorithm in algorithms:
                algorithm.update(block)
    return [algorithm.hexdigest() for algorithm in algorithms]


def sha256(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    return digests(path, hashlib.sha256())[0]


def sums(path: str | Path) -> dict[str, str]:
    """Return {"md5": ..., "sha256": ...} of a file, read once."""
    found = digests(path, hashlib.md5(usedforsecurity=False), hashlib.sha256())
    return dict(zip(("md5", "sha256"), found))


def verify(path: str | Path, expected: str) -> None:
    """Raise DataError unless the file has the expected SHA-256."""
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{path}: SHA-256 is {found}, expected {expected}; the file is damaged or of another "
            "version, fetch it again"
        )


def read_json(path: str | Path, kind: type, remedy: str):
    """Read a JSON file. kind: the type expected, dict or list; remedy: advice if it is damaged.

    Raises FileNotFoundError, or DataError if the file cannot be read or holds another type.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise DataError(f"{path}: not readable as JSON (nested too deep); {remedy}") from error
    except ValueError as error:
        raise DataError(f"{path}: not readable as JSON ({error}); {remedy}") from error
    if not isinstance(data, kind):
        found = type(data).__name__
        raise DataError(f"{path}: expected a {kind.__name__}, found {found}; {remedy}")
    return data


def read_arrays(
    path: str | Path, remedy: str, needed: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file, without pickle.

    Raises DataError if the file is missing, is damaged or lacks an array of `needed`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {remedy}") from error
    except Exception as error:  # a damaged file raises errors of many types
        raise DataError(f"{path}: damaged ({first_line(error)}); {remedy}") from error
    if lacking := [name for name in needed if name not in arrays]:
        raise DataError(f"{path}: lacks {', '.join(lacking)}; {remedy}")
    return arrays


def _refuse(constant: str):
    raise ValueError(f"{constant} is not a JSON number")


@contextmanager
def alone(file: Path, busy: str, patience: float = 0) -> Iterator[None]:
    """Hold the lock `file`, and remove it at the end. Raises ConfigError with the message `busy` if
    another process still holds it after `patience` seconds."""
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(file, patience))
        except Timeout as error:
            raise ConfigError(busy) from error
        try:
            yield
        finally:
            with suppress(OSError):
                file.unlink()


@contextmanager
def exclusive(file: Path, patience: float = -1) -> Iterator[None]:
    """Wait for the lock `file` and hold it, among the processes of a machine or of a shared file
    system. The lock is released if its holder dies. patience: seconds after which filelock.Timeout
    is raised; negative: wait for ever.

    Goes on without a lock if the system has none or the folder is not writable.
    """
    lock = FileLock(file)
    try:
        # create the file here: FileLock would make its folder, or wait for ever if it cannot
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o644))
        lock.acquire(timeout=patience)
    except Timeout:  # a subclass of OSError
        raise
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
