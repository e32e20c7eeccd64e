"""Unpack archives safely: nothing outside the folder, no links, all or nothing."""

import errno
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ueo.errors import DataError, first_line
from ueo.files import writing
from ueo.temporaries import sweep, temporary_folder

LITTER = ("__MACOSX", ".DS_Store")  # added to archives by macOS
TEMPORARY = ".unpack-"  # prefix of temporary folders
BLOCK = 1 << 20
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError,
    ValueError, OverflowError, RuntimeError,  # RuntimeError: a zip that asks for a password
)


class BadArchive(DataError):
    """An archive is damaged or malicious; another copy may be good."""

    def __init__(self, archive: str | Path, reason: str):
        super().__init__(f"{archive}: {reason}")
        self.archive = Path(archive)
        self.reason = reason


@dataclass(frozen=True)
class Entry:
    """One file of an archive."""

    name: str  # as stored in the archive
    parts: tuple[str, ...]
    source: zipfile.ZipInfo | tarfile.TarInfo


def unpack_all(archives: list[str | Path], folder: str | Path) -> None:
    """Unpack zip or tar archives into `folder`, all of them or none; each top entry appears whole.

    Raises, before anything is written, BadArchive for an archive that is damaged or holds a path
    outside the folder, a link, a device or a duplicate name; DataError if a top entry exists.
    """
    folder = Path(folder)
    contents = {archive: _read(archive) for archive in archives}
    for archive, entries in contents.items():
        if not entries:
            raise BadArchive(archive, "holds no files; fetch it again")
        for name in sorted({entry.parts[0] for entry in entries}):
            if os.path.lexists(folder / name):
                raise DataError(
                    f"{folder / name}: already exists and {Path(archive).name} holds another; "
                    "remove it, or keep it and remove the archive"
                )
    # inside the folder if it exists, because it may be on another disk than its parent
    beside = folder if folder.is_dir() else folder.parent
    with temporary_folder(beside, TEMPORARY) as temporary:
        for archive, entries in contents.items():
            _extract(archive, entries, temporary)
        folder.mkdir(exist_ok=True)
        _move(sorted(os.listdir(temporary)), temporary, folder)


def remove_left(folder: str | Path) -> None:
    """Remove the temporary folders that killed processes left in `folder`."""
    sweep(Path(folder), TEMPORARY)


def is_archive(path: str | Path) -> bool:
    """Whether a file is a zip or tar archive, whatever its name."""
    try:
        return tarfile.is_tarfile(path) or zipfile.is_zipfile(path)
    except (*DAMAGED, OSError):
        return False


@contextmanager
def _opened(archive: str | Path) -> Iterator[zipfile.ZipFile | tarfile.TarFile]:
    """Open an archive. Library errors that mean damage become BadArchive."""
    try:
        # tar first: a tar whose last file is a zip looks like a zip, too
        opener = tarfile.open if tarfile.is_tarfile(archive) else zipfile.ZipFile
        with opener(archive) as file:
            yield file
    except DAMAGED as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is not None:  # a system error, such as a full disk or a missing file
            raise
        raise _damaged(archive, error) from error


def _damaged(archive: str | Path, error: Exception) -> BadArchive:
    return BadArchive(archive, f"not a readable archive ({first_line(error)}); fetch it again")


def _read(archive: str | Path) -> list[Entry]:
    """Check all entries of an archive and return its files."""
    entries = []
    with _opened(archive) as file:
        members = file.infolist() if isinstance(file, zipfile.ZipFile) else file
        for member in tqdm(members, desc=f"read {Path(archive).name}", leave=False, disable=None):
            name = member.filename if isinstance(member, zipfile.ZipInfo) else member.name
            parts = _parts(name, archive)
            _refuse_special(member, name, archive)
            litter = any(part in LITTER or part.startswith("._") for part in parts)
            if not _is_folder(member, name) and not litter:
                entries.append(Entry(name, parts, member))
        if isinstance(file, tarfile.TarFile):
            refuse_cut(file)
    _refuse_repeated(entries, archive)
    return entries


def _parts(name: str, archive: str | Path) -> tuple[str, ...]:
    path = name.replace("\\", "/")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    drive = any(re.match("[A-Za-z]:", part) for part in parts)
    empty = not parts and name not in (".", "./")
    if path.startswith("/") or ".." in parts or drive or empty or "\0" in name:
        raise BadArchive(archive, f"refused, the entry {name!r} would leave the target folder")
    return parts


def _is_folder(member: zipfile.ZipInfo | tarfile.TarInfo, name: str) -> bool:
    if isinstance(member, tarfile.TarInfo):
        return member.isdir()
    return name.endswith(("/", "\\"))  # some archives from Windows use "\\"


def _refuse_special(member, name: str, archive: str | Path) -> None:
    if isinstance(member, zipfile.ZipInfo):
        kind = stat.S_IFMT(member.external_attr >> 16)
        ordinary = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    else:
        ordinary = member.isreg() or member.isdir()
    if not ordinary:
        raise BadArchive(archive, f"refused, the entry {name!r} is a link or no regular file")


def refuse_cut(file: tarfile.TarFile) -> None:
    """Raise tarfile.ReadError if an archive that was read to its end has no end mark. tarfile stops
    without an error at a damaged header or at the end of the file."""
    file.fileobj.seek(file.offset)
    end = file.fileobj.read(tarfile.BLOCKSIZE)
    if end != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("cut off or damaged in the middle")
    while file.fileobj.read(BLOCK):  # gzip verifies its checksum only at the very end
        pass


def _refuse_repeated(entries: list[Entry], archive: str | Path) -> None:
    seen = set()
    for entry in entries:
        if entry.parts in seen:
            raise BadArchive(archive, f"refused, it holds {entry.name!r} twice")
        seen.add(entry.parts)


def _extract(archive: str | Path, entries: list[Entry], folder: Path) -> None:
    with _opened(archive) as file:
        reader = file.open if isinstance(file, zipfile.ZipFile) else file.extractfile
        for entry in tqdm(entries, desc=f"unpack {Path(archive).name}", disable=None):
            with reader(entry.source) as source, _created(archive, entry, folder) as out:
                with writing(out.name):
                    shutil.copyfileobj(source, out, BLOCK)


def _created(archive: str | Path, entry: Entry, folder: Path):
    """Create and open the file of an entry, with default permissions, not the archive's."""
    target = folder.joinpath(*entry.parts)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return open(target, "xb")
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR):
            raise
        reason = f"refused, the entry {entry.name!r} has the path of another"
        raise BadArchive(archive, reason) from error


def _move(names: list[str], source: Path, target: Path) -> None:
    moved = []
    try:
        for name in names:
            os.rename(source / name, target / name)
            moved.append(name)
    except OSError:
        for name in moved:
            os.rename(target / name, source / name)
        raise
