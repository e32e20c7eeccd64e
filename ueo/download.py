"""Fetch the parts of a data set: several sources in order, broken transfers resumed, files checked.

A source that is dead, answers a page instead of a file or sends another file is left for the next;
when all fail, the error says what to fetch by hand and where to put it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import requests
from tqdm import tqdm

from ueo import archives
from ueo.errors import DataError
from ueo.files import write_json
from ueo.locks import exclusive

RECORD = "download.json"
PARTIAL = ".download"  # folder of transfers under way
DRIVE = "gdrive:"
ATTEMPTS = 3  # a source, each goes on where the last one broke
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 16  # bytes; up to so many are lost when a connection breaks


@dataclass(frozen=True)
class Remote:
    """One file on a server.

    url:      http(s)://..., or "gdrive:<id>" or "gdrive:<id>:<resource key>" on Google Drive.
    name:     what it is stored under.
    checksum: "md5:<hex>" or "sha256:<hex>" where one is published.
    """

    url: str
    name: str
    checksum: str = ""


@dataclass(frozen=True)
class Piece:
    """A part of a data set, such as one domain's images or a list.

    alternatives: tried in order; every file of one is needed.
    by_hand:      address of the page where a person finds it.
    """

    name: str
    alternatives: tuple[tuple[Remote, ...], ...]
    by_hand: str


class SourceFailed(Exception):
    """One source gave nothing; the next one is tried."""


def download(
    title: str,
    pieces: list[Piece],
    folder: Path,
    is_there: Callable[[Piece], bool] = lambda piece: False,
    report: Callable[[str], None] = print,
) -> None:
    """Bring `pieces` into `folder`: archives unpacked, other files as they are.

    is_there: asked again for each piece once this process has its turn, so that several processes
    may download at once. What was fetched is noted in `folder`/download.json.

    Raises DataError when every source of a piece fails.
    """
    partial = folder / PARTIAL
    partial.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".download.lock"):
        for piece in pieces:
            if not is_there(piece):
                _bring(title, piece, folder, report)
    shutil.rmtree(partial, ignore_errors=True)


def is_by_hand(piece: Piece, folder: Path) -> bool:
    """Whether somebody has put all files of one alternative into `folder`."""
    return any(_all_in(alternative, folder) for alternative in piece.alternatives)


def _all_in(alternative: tuple[Remote, ...], folder: Path) -> bool:
    return all((folder / remote.name).is_file() for remote in alternative)


def _bring(title: str, piece: Piece, folder: Path, report: Callable[[str], None]) -> None:
    reasons = []
    for alternative in sorted(piece.alternatives, key=lambda a: not _all_in(a, folder)):
        try:
            files = [_obtain(remote, folder, report) for remote in alternative]
        except SourceFailed as error:
            reasons.append(str(error))
            report(f"{title}, {piece.name}: {error}")
            continue
        for remote, file in zip(alternative, files):
            _note(piece, remote, file, folder)
            _place(file, folder, keep=file.parent == folder)
        return
    names = " or ".join(dict.fromkeys(r.name for a in piece.alternatives for r in a))
    raise DataError(
        f"{title}: {piece.name} could not be fetched ({'; '.join(reasons)}); fetch {names} by "
        f"hand, see {piece.by_hand}, put it into {folder} and run the same command again"
    )


def _obtain(remote: Remote, folder: Path, report: Callable[[str], None]) -> Path:
    """The checked file: put there by hand, or fetched now."""
    by_hand = folder / remote.name
    if by_hand.is_file():
        report(f"Using {by_hand}")
        _check(by_hand, remote, f"{by_hand}")
        return by_hand
    file = folder / PARTIAL / remote.name
    report(f"Fetching {remote.name} from {remote.url}")
    if remote.url.startswith(DRIVE):
        _from_drive(remote, file)
    else:
        _over_http(remote, file)
    try:
        _check(file, remote, remote.url)
    except SourceFailed:
        file.unlink()
        raise
    return file


def _check(file: Path, remote: Remote, origin: str) -> None:
    kind, _, expected = remote.checksum.partition(":")
    if expected:
        found = _digest(file, kind)
        if found != expected:
            raise SourceFailed(f"{origin}: {kind} is {found}, expected {expected}")
    if _should_unpack(remote) and not archives.is_archive(file):
        raise SourceFailed(f"{origin}: answered something that is no archive")


def _should_unpack(remote: Remote) -> bool:
    return Path(remote.name).suffix in (".zip", ".tar", ".gz", ".tgz")


def _place(file: Path, folder: Path, keep: bool) -> None:
    if archives.is_archive(file):
        archives.unpack(file, folder)
        if not keep:
            file.unlink()
    elif not keep:
        os.replace(file, folder / file.name)


def _over_http(remote: Remote, file: Path) -> None:
    part = file.with_name(file.name + ".part")
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            if _transfer(remote.url, part):
                os.replace(part, file)
                return
            reason = "the connection broke"
        except requests.RequestException as error:
            reason = _brief(error)
            if isinstance(error, (requests.TooManyRedirects, requests.exceptions.InvalidSchema)):
                break
    raise SourceFailed(f"{remote.url}: {reason}")


def _transfer(url: str, part: Path) -> bool:
    """Fetch what is missing of `part`; True when it is complete. Raises SourceFailed for an answer
    that will not get better, requests' errors for a connection that breaks."""
    validator = part.with_name(part.name + ".validator")
    have = part.stat().st_size if part.is_file() and validator.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator.read_text()}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # the part is longer than the file: start anew
            part.unlink()
            return False
        if answer.status_code >= 500:
            raise requests.ConnectionError(f"the server answered {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise SourceFailed(f"{url}: the server answered {answer.status_code}")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise SourceFailed(f"{url}: answered a web page instead of the file")
        start = _start(answer)
        if start not in (0, have):
            part.unlink()
            return False
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if tag and not tag.startswith("W/"):  # without one, a broken transfer starts anew
            validator.write_text(tag)
        else:
            validator.unlink(missing_ok=True)
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        _write(answer, part, start, total)
    return total is None or part.stat().st_size == total


def _start(answer: requests.Response) -> int:
    if answer.status_code == 200:
        return 0
    span = answer.headers.get("Content-Range", "")  # "bytes 100-199/200"
    first = span.removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else -1


def _write(answer: requests.Response, part: Path, start: int, total: int | None) -> None:
    progress = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None,
        desc=part.name.removesuffix(".part"),
    )
    with progress, open(part, "ab" if start else "wb") as out:
        for block in answer.iter_content(BLOCK):
            out.write(block)
            progress.update(len(block))


def _from_drive(remote: Remote, file: Path) -> None:
    import gdown

    number, _, key = remote.url.removeprefix(DRIVE).partition(":")
    address = f"https://drive.google.com/uc?id={number}" + (key and f"&resourcekey={key}")
    try:
        if gdown.download(address, str(file), resume=True) is None:
            raise SourceFailed(f"{remote.url}: Google Drive gave no file")
    except SourceFailed:
        raise
    except Exception as error:  # gdown's own classes differ between its versions
        raise SourceFailed(f"{remote.url}: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    """The last cause in a few words: requests nests urllib3's long messages."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    words = (str(error).strip() or type(error).__name__).splitlines()[0]
    return words if len(words) < 120 else words[:117] + "..."


def _note(piece: Piece, remote: Remote, file: Path, folder: Path) -> None:
    """Add to download.json what came, with its sums, whether one was published or not."""
    record = folder / RECORD
    notes = json.loads(record.read_text()) if record.is_file() else []
    notes = [note for note in notes if note["name"] != remote.name]
    by_hand = file.parent == folder
    notes.append({
        "piece": piece.name,
        "name": remote.name,
        "url": None if by_hand else remote.url,
        "bytes": file.stat().st_size,
        "md5": _digest(file, "md5"),
        "sha256": _digest(file, "sha256"),
        "published_checksum": remote.checksum or None,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    })
    write_json(record, notes)


def _digest(file: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with open(file, "rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
