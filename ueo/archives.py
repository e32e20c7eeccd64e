"""Archives unpacked without surprises: nothing outside the folder, no link, all or nothing."""

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from ueo.errors import DataError

LITTER = ("__MACOSX", ".DS_Store")  # what macOS adds to archives
BLOCK = 1 << 20
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Entry:
    """One file of an archive."""

    name: str  # as written there
    parts: tuple[str, ...]
    source: zipfile.ZipInfo | tarfile.TarInfo


def unpack(archive: str | Path, folder: str | Path) -> None:
    """Unpack a zip or tar archive so that its top entries appear in `folder`, each whole.

    Raises DataError, with nothing written, for an archive that is damaged or holds a path outside
    the folder, a link, a device or a name twice; and for a top entry that is there already.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _unpacked(archive, folder) as temporary:
        tops = sorted(os.listdir(temporary))
        for name in tops:
            if (folder / name).exists():
                raise DataError(
                    f"{folder / name}: is there already and {Path(archive).name} holds another; "
                    "remove it, or keep it and remove the archive"
                )
        for name in tops:
            os.rename(temporary / name, folder / name)


def unpack_top(archive: str | Path, folder: str | Path) -> None:
    """Unpack an archive with one top folder so that this becomes `folder`, whole or not at all.

    When several processes unpack at once, one wins and the others use its result.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _unpacked(archive, folder.parent) as temporary:
        tops = os.listdir(temporary)
        if len(tops) != 1 or not (temporary / tops[0]).is_dir():
            raise DataError(f"{archive}: expected one top folder, found {sorted(tops)}")
        try:
            os.rename(temporary / tops[0], folder)
        except OSError:
            if not folder.is_dir():
                raise


def is_archive(path: str | Path) -> bool:
    """Whether a file is a zip or tar archive, whatever its name."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error):
        return False


@contextmanager
def _unpacked(archive: str | Path, beside: Path) -> Iterator[Path]:
    """A temporary folder inside `beside` with the archive's files, removed in the end."""
    temporary = Path(tempfile.mkdtemp(dir=beside, prefix=".unpack-"))
    try:
        opened = zipfile.ZipFile if zipfile.is_zipfile(archive) else tarfile.open
        with opened(archive) as file:
            entries = _entries(file, archive)
            _refuse_repeated(entries, archive)
            for entry in tqdm(entries, desc=f"unpack {Path(archive).name}", disable=None):
                _extract(file, entry, temporary)
        yield temporary
    except DAMAGED as error:
        raise DataError(f"{archive}: not a readable archive ({error}); fetch it again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _entries(file: zipfile.ZipFile | tarfile.TarFile, archive) -> list[Entry]:
    members = file.infolist() if isinstance(file, zipfile.ZipFile) else file.getmembers()
    entries = []
    for member in members:
        name = member.filename if isinstance(member, zipfile.ZipInfo) else member.name
        parts = _parts(name, archive)
        _refuse_special(member, name, archive)
        folder = member.is_dir() if isinstance(member, zipfile.ZipInfo) else member.isdir()
        litter = any(part in LITTER or part.startswith("._") for part in parts)
        if not folder and not litter:
            entries.append(Entry(name, parts, member))
    return entries


def _parts(name: str, archive) -> tuple[str, ...]:
    parts = Path(name.replace("\\", "/")).parts
    if not parts and name in (".", "./"):
        return ()
    if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0] or "\0" in name:
        raise DataError(f"{archive}: refused, the entry {name!r} would leave the target folder")
    return parts


def _refuse_special(member, name: str, archive) -> None:
    if isinstance(member, zipfile.ZipInfo):
        kind = stat.S_IFMT(member.external_attr >> 16)
        ordinary = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    else:
        ordinary = member.isreg() or member.isdir()
    if not ordinary:
        raise DataError(f"{archive}: refused, the entry {name!r} is a link or no ordinary file")


def _refuse_repeated(entries: list[Entry], archive) -> None:
    seen = set()
    for entry in entries:
        if entry.parts in seen:
            raise DataError(f"{archive}: refused, it holds {entry.name!r} twice")
        seen.add(entry.parts)


def _extract(file: zipfile.ZipFile | tarfile.TarFile, entry: Entry, folder: Path) -> None:
    target = folder.joinpath(*entry.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = (
        file.open(entry.source)
        if isinstance(file, zipfile.ZipFile)
        else file.extractfile(entry.source)
    )
    with source, open(target, "xb") as out:
        shutil.copyfileobj(source, out, BLOCK)
