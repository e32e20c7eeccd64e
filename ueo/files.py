"""Files written whole or not at all and read without surprises; and checksums.

Whatever was damaged on the disk is one line that names the file.
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
    """A file shipped in assets/: beside the package in the repository, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "assets", package / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"assets/{name} is missing from this installation")


def check_writable(folder: Path, option: str = "--output-dir") -> None:
    """Make the folder of results. Raises ConfigError, which names the option, where it, or a file
    in it, cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # without a name, where the system can
            pass
    except OSError as error:
        raise ConfigError(f"{option} {folder}: cannot be written ({error.strerror})") from error


def check_file(path: Path, option: str = "") -> None:
    """Raise ConfigError, which names the option, where something that is no file has the name: a
    device would give way to a file."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ConfigError(f"{option} {path}: is {what}; name a file".strip())


@contextmanager
def writing(path: str | Path):
    """Name `path` in an error of the system's that names no file, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def saving(path: str | Path):
    """Name `path` where torch or safetensors, which say so in errors of their own, cannot write it.
    Raises DataError."""
    try:
        with writing(path):
            yield
    except (RuntimeError, SafetensorError) as error:
        why = first_line(error)
        raise DataError(f"{path}: not written, is the disk full? ({why})") from error


@contextmanager
def atomic_path(path: str | Path):
    """Yield a temporary path beside `path`; it takes the final name only if the block succeeds.

    What a killed process left of the same file is removed. Raises ConfigError where a folder or a
    device has the name.
    """
    path = Path(path)
    check_file(path)
    with temporary_file(path.parent, f".{path.stem}-", path.suffix) as temporary, writing(path):
        yield temporary
        os.chmod(temporary, 0o644)  # its 0600 would keep colleagues on a cluster out
        os.replace(temporary, path)


def set_aside(path: str | Path) -> Path | None:
    """Rename a file that another is to replace: it gets the date of its last change as a suffix.
    Returns its new path; None if there was none."""
    path = Path(path)
    if not path.is_file():
        return None
    date = time.strftime("-%Y-%m-%d-%H-%M-%S", time.localtime(path.stat().st_mtime))
    named = (path.with_name(f"{path.name}{date}{f'-{i}' * (i > 1)}") for i in itertools.count(1))
    return path.rename(next(new for new in named if not new.exists()))


def write_text(path: str | Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data) -> None:
    """Write `data` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def file_version(path: str | Path) -> tuple[int, int, int] | None:
    """Size and times of modification and of status change of a regular file: another triple when
    the file was changed, also by a copy that keeps its time. None where there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def digests(path: str | Path, *algorithms) -> list[str]:
    """Hexadecimal digests of a file's bytes, read once. algorithms: new objects of hashlib's."""
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            for algorithm in algorithms:
                algorithm.update(block)
    return [algorithm.hexdigest() for algorithm in algorithms]


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return digests(path, hashlib.sha256())[0]


def sums(path: str | Path) -> dict[str, str]:
    """{"md5": ..., "sha256": ...} of a file, read once."""
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
    """What a JSON file holds, a `kind`: dict or list. remedy: what to do when it is damaged.

    Raises DataError for a file that cannot be read or holds something else; FileNotFoundError.
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
    """The arrays of an npz file; nothing pickled is read.

    Raises DataError for one that is missing, damaged or lacks an array in `needed`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; {remedy}") from error
    except Exception as error:  # what a damaged file makes of a reader has no common base
        raise DataError(f"{path}: damaged ({first_line(error)}); {remedy}") from error
    if lacking := [name for name in needed if name not in arrays]:
        raise DataError(f"{path}: lacks {', '.join(lacking)}; {remedy}")
    return arrays


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number of JSON")


@contextmanager
def alone(file: Path, busy: str, patience: float = 0) -> Iterator[None]:
    """Hold the lock `file`, which is removed in the end. Raises ConfigError, which says `busy`,
    where another process still holds it after `patience` seconds."""
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
    """Hold the lock `file`, between processes of one machine or of one shared file system, after
    waiting for whoever holds it; it goes when its holder dies. patience: seconds after which
    filelock.Timeout is raised instead; negative: none.

    Without a lock where the system has none or the folder cannot be written.
    """
    lock = FileLock(file)
    try:
        # by ourselves first: FileLock would make its folder, and wait for ever where it cannot be
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o644))
        lock.acquire(timeout=patience)
    except Timeout:  # an OSError itself
        raise
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
