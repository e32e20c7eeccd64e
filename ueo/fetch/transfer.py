"""Fetch one file over HTTP: check its length, and resume after a broken connection."""

import os
import re
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from ueo.errors import first_line

ATTEMPTS = 3  # a source; each resumes the last one
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 16  # bytes; at most so many are lost if the connection breaks


class SourceFailed(Exception):
    """A source did not deliver the file; another one may."""


def fetch(url: str, file: Path) -> None:
    """Fetch `url` into `file`, resuming the partial file that an earlier call left beside it.

    Raises SourceFailed with the reason; a partial file that can be resumed is kept.
    """
    part = file.with_name(f"{file.name}.part")
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            if _transfer(url, part):
                os.replace(part, file)
                return
            reason = "the connection broke"
        except (requests.RequestException, ValueError) as error:  # ValueError: a bad redirect
            reason = brief(error)
            if isinstance(error, (requests.TooManyRedirects, requests.exceptions.InvalidSchema)):
                break
    raise SourceFailed(reason)


def _transfer(url: str, part: Path) -> bool:
    """Fetch the rest of `part` and return whether it is complete. Raises SourceFailed for a
    permanent failure, errors of requests for a broken connection."""
    address, tag = origin(part)
    have = part.stat().st_size if tag and address == url and part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        start, total = _span(answer)
        if answer.status_code == 416 and have:  # there are no bytes after these
            if total != have:
                part.unlink()
            return total == have
        _refuse(answer)
        if start not in (0, have):  # not the requested range: start again
            part.unlink(missing_ok=True)
            return False
        if start == 0:
            part.unlink(missing_ok=True)  # first, so that the tag never belongs to other bytes
            tag = answer.headers.get("ETag", "W/")
            tag = answer.headers.get("Last-Modified", "") if tag.startswith("W/") else tag
            remember(part, url, tag)  # without a tag, a broken transfer starts again
        _write(answer, part, start, total)
    return total is None or part.stat().st_size == total


def _span(answer: requests.Response) -> tuple[int, int | None]:
    """Return the position of the answer's first byte, or -1, and the size of the file if stated."""
    if answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(  # "bytes 100-199/200", with 416 "bytes */200"
        r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
    )
    if not found:
        return -1, None
    first, last, total = found.groups()
    whole = total if total != "*" else last and int(last) + 1
    return int(first or -1), int(whole) if whole else None


def _refuse(answer: requests.Response) -> None:
    code = answer.status_code
    if code == 429 or code >= 500:  # temporary
        raise requests.ConnectionError(f"the server answered {code}")
    if code not in (200, 206):
        raise SourceFailed(f"the server answered {code}")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        page = next(answer.iter_content(BLOCK), b"").decode(errors="replace")
        title = re.search(r"<title>\s*(.{1,80}?)\s*</title>", page, re.IGNORECASE)
        named = f" ({title[1]!r})" if title else ""
        raise SourceFailed(f"answered with a web page{named} instead of the file")


def _write(answer: requests.Response, part: Path, start: int, total: int | None) -> None:
    progress = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None,
        desc=part.name.removesuffix(".part"),
    )
    with progress, open(part, "ab" if start else "wb") as out:
        try:
            # not decoded: some servers send a .tar.gz as a tar with Content-Encoding: gzip
            for block in answer.raw.stream(BLOCK, decode_content=False):
                out.write(block)
                progress.update(len(block))
        except HTTPError as error:
            raise requests.ConnectionError(error) from error


def remember(file: Path, url: str, tag: str = "") -> None:
    """Record where the bytes of the file, or of its part, came from."""
    file.with_name(f"{file.name.removesuffix('.part')}.origin").write_text(f"{url}\n{tag}")


def origin(file: Path) -> tuple[str, str]:
    """Return (url, ETag or date) of the bytes of the file or of its part."""
    path = file.with_name(f"{file.name.removesuffix('.part')}.origin")
    url, _, tag = (path.read_text() if path.is_file() else "").partition("\n")
    return url, tag


def brief(error: BaseException) -> str:
    """Shorten an error to its root cause: requests nests long messages of urllib3. A ValueError at
    the root is skipped; it only says that a length of a broken connection is no number."""
    while (cause := error.__cause__ or error.__context__) and type(cause) is not ValueError:
        error = cause
    words = first_line(error)
    return words if len(words) < 120 else words[:117] + "..."
