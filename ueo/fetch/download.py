"""Fetch the parts of a data set: try sources in order, resume broken transfers, check files.

If a source is dead, answers with a web page or sends a wrong file, the next one is tried. If all
fail, the error says what to fetch by hand and where to put it.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ueo.errors import DataError
from ueo.fetch import archives, drive
from ueo.fetch.transfer import SourceFailed, fetch, origin, remember
from ueo.files import exclusive, read_json, sums, write_json

RECORD = "download.json"
REMOVE_NOTES = "remove it; this keeps the data"
PARTIAL = ".download"  # folder of unfinished transfers
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
DRIVE = "gdrive:"


@dataclass(frozen=True)
class Remote:
    """One file on a server.

    url:      http(s)://..., or "gdrive:<id>" or "gdrive:<id>:<resource key>" on Google Drive.
    name:     its local file name.
    checksum: "md5:<hex>" or "sha256:<hex>" if one is published.
    """

    url: str
    name: str
    checksum: str = ""


@dataclass(frozen=True)
class Piece:
    """A part of a data set, such as one domain's images or a list.

    alternatives: tried in order; all files of an alternative are needed.
    by_hand:      URL of the page from which to download it by hand.
    """

    name: str
    alternatives: tuple[tuple[Remote, ...], ...]
    by_hand: str


def download(
    title: str,
    pieces: list[Piece],
    folder: Path,
    report: Callable[[str], None] = print,
    is_there: Callable[[Piece], bool] = lambda piece: False,
) -> None:
    """Fetch `pieces` into `folder`, unpack archives, and record the files in folder/download.json.

    is_there: whether a piece exists already; called under a lock, so that several processes may
    download at once.

    Raises DataError if every source of a piece fails, or if an existing file is in the way.
    """
    partial = folder / PARTIAL
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / f"{PARTIAL}.lock"):
        _notes(folder)  # raises for a damaged record before hours of transfer
        archives.remove_left(folder)
        partial.mkdir(exist_ok=True)
        try:
            for piece in pieces:
                if not is_there(piece):
                    _bring(title, piece, folder, report)
        finally:
            with suppress(OSError):  # not empty if a broken transfer can be resumed
                partial.rmdir()


def is_by_hand(piece: Piece, folder: Path) -> bool:
    """Whether all files of an alternative were put into `folder` by hand."""
    return any(_all_in(alternative, folder) for alternative in piece.alternatives)


def _all_in(alternative: tuple[Remote, ...], folder: Path) -> bool:
    return all((folder / remote.name).is_file() for remote in alternative)


def _bring(title: str, piece: Piece, folder: Path, report: Callable[[str], None]) -> None:
    reasons = []
    for alternative in sorted(piece.alternatives, key=lambda a: not _all_in(a, folder)):
        try:
            files = {remote: _obtain(remote, folder, report) for remote in alternative}
            notes = [_describe(piece, remote, file, folder) for remote, file in files.items()]
            _place(files, folder)
        except SourceFailed as error:
            reasons.append(str(error))
            report(f"{title}, {piece.name}: {error}")
            continue
        _note(notes, folder)
        _forget(piece, folder / PARTIAL)
        return
    why = "; ".join(dict.fromkeys(reasons))
    names = " or ".join(dict.fromkeys(" and ".join(r.name for r in a) for a in piece.alternatives))
    raise DataError(
        f"{title}: {piece.name} could not be fetched ({why}); fetch {names} by hand, see "
        f"{piece.by_hand}, put it into {folder} and run the same command again"
    )


def _obtain(remote: Remote, folder: Path, report: Callable[[str], None]) -> Path:
    """Return a checked file: put there by hand, fetched by an interrupted run, or fetched now."""
    by_hand, file = folder / remote.name, folder / PARTIAL / remote.name
    if by_hand.is_file():
        report(f"Using {by_hand}")
        if reason := _fault(by_hand, remote):
            raise SourceFailed(f"{by_hand}: {reason}; replace or remove it")
        return by_hand
    if file.is_file() and origin(file)[0] == remote.url:
        report(f"Using {file}, fetched before")
    else:
        file.unlink(missing_ok=True)
        report(f"Fetching {remote.name} from {remote.url}")
        try:
            _fetch(remote, file)
        except SourceFailed as error:
            raise SourceFailed(f"{remote.url}: {error}") from error
    if reason := _fault(file, remote):
        file.unlink()
        raise SourceFailed(f"{remote.url}: {reason}")
    return file


def _fault(file: Path, remote: Remote) -> str:
    """Return what is wrong with a complete file, or ""."""
    kind, _, expected = remote.checksum.partition(":")
    if expected and (found := sums(file)[kind]) != expected.lower():
        return f"{kind} is {found}, expected {expected}"
    with open(file, "rb") as source:
        if source.read(500).lstrip().lower().startswith((b"<!doctype html", b"<html")):
            return "it is a web page instead of the file"
    if remote.name.endswith(SUFFIXES) and not archives.is_archive(file):
        return "it is no archive"
    return ""


def _place(files: dict[Remote, Path], folder: Path) -> None:
    """Unpack the archives, all or none, and move the other files into `folder`."""
    packed = {file: remote for remote, file in files.items() if remote.name.endswith(SUFFIXES)}
    try:
        archives.unpack_all(list(packed), folder)
    except archives.BadArchive as error:
        if error.archive.parent == folder:
            raise DataError(
                f"{error}; it was put there by hand: replace it, or remove it to fetch it from the "
                "sources"
            ) from error
        error.archive.unlink()
        raise SourceFailed(f"{packed[error.archive].url}: {error.reason}") from error
    for file in files.values():
        if file not in packed and file.parent != folder:
            os.replace(file, folder / file.name)


def _forget(piece: Piece, partial: Path) -> None:
    """Remove what transfers from the piece's sources, failed ones included, left behind."""
    for remote in {remote for alternative in piece.alternatives for remote in alternative}:
        for suffix in ("", ".part", ".origin"):
            (partial / f"{remote.name}{suffix}").unlink(missing_ok=True)
        if remote.url.startswith(DRIVE):
            shutil.rmtree(drive.folder_of(remote.url.split(":")[1], partial), ignore_errors=True)


def _fetch(remote: Remote, file: Path) -> None:
    if remote.url.startswith(DRIVE):
        drive.fetch_file(remote.url.removeprefix(DRIVE), file)
    else:
        fetch(remote.url, file)
    remember(file, remote.url)


def _notes(folder: Path) -> list[dict]:
    record = folder / RECORD
    if not record.is_file():
        return []
    notes = read_json(record, list, REMOVE_NOTES)
    if not all(isinstance(n, dict) and {"name", "sha256"} <= n.keys() for n in notes):
        raise DataError(f"{record}: its entries do not describe files; {REMOVE_NOTES}")
    return notes


def _describe(piece: Piece, remote: Remote, file: Path, folder: Path) -> dict:
    """Return an entry for download.json; a file that an earlier call fetched keeps its entry."""
    found = sums(file)
    by_hand = file.parent == folder
    for note in _notes(folder):
        if by_hand and note["name"] == remote.name and note["sha256"] == found["sha256"]:
            return note
    return {
        "piece": piece.name,
        "name": remote.name,
        "url": None if by_hand else remote.url,
        "bytes": file.stat().st_size,
        **found,
        "published_checksum": remote.checksum or None,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _note(new: list[dict], folder: Path) -> None:
    names = {note["name"] for note in new}
    write_json(folder / RECORD, [n for n in _notes(folder) if n["name"] not in names] + new)
