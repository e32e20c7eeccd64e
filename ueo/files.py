"""Files written whole or not at all, checksums, and archives unpacked without surprises."""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from ueo.errors import DataError


def asset(name: str) -> Path:
    """A file shipped in assets/: beside the package in the repository, inside it in a wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "assets", package / "assets"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"assets/{name} is missing from this installation")


@contextmanager
def atomic_path(path: str | Path):
    """Yield a temporary path beside `path`; it takes the final name only if the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)  # mkstemp gives 0600, which colleagues on a cluster cannot read
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def json_text(data) -> str:
    """`data` as indented JSON. NaN is refused: it is not JSON."""
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def write_json(path: str | Path, data) -> None:
    """Write `json_text` of `data`, whole or not at all."""
    text = json_text(data)
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(path: str | Path, expected: str) -> None:
    """Raise DataError unless the file has the expected SHA-256."""
    found = sha256(path)
    if found != expected:
        raise DataError(
            f"{path}: SHA-256 is {found}, expected {expected}; the file is damaged or of another "
            "version, fetch it again"
        )


def unpack_zip(archive: str | Path, folder: str | Path) -> None:
    """Unpack a zip archive so that `folder` appears complete or not at all.

    The archive's single top folder becomes `folder`. Entries outside it are refused. When several
    processes unpack at once, one wins and the others use its result.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with zipfile.ZipFile(archive) as file:
            tops = {_safe_parts(name, archive)[0] for name in file.namelist()}
            if len(tops) != 1:
                raise DataError(f"{archive}: expected one top folder, found {sorted(tops)}")
            file.extractall(temporary)
        top = temporary / tops.pop()
        if not top.is_dir():
            raise DataError(f"{archive}: expected one top folder, found the file {top.name!r}")
        try:
            os.rename(top, folder)
        except OSError:
            if not folder.is_dir():
                raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"{archive}: not a readable zip archive ({error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _safe_parts(name: str, archive) -> tuple[str, ...]:
    parts = Path(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
        raise DataError(f"{archive}: refused, the entry {name!r} would leave the target folder")
    return parts
