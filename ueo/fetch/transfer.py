"""One file over HTTP: checked for its length, and gone on with where the connection broke."""

import os
import re
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from ueo.errors import first_line

ATTEMPTS = 3  # a source, each goes on where the last one broke
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 16  # bytes; up to so many are lost when a connection breaks


class SourceFailed(Exception):
    """A server gave nothing; another one may."""


def fetch(url: str, file: Path) -> None:
    """Fetch `url` into `file`, going on with what an earlier call left in the part beside it.

    Raises SourceFailed with the reason; what came until then is kept where it can be gone on with.
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
    """Fetch what is missing of `part`; True when it is complete. Raises SourceFailed for an answer
    that will not get better, requests' errors for a connection that breaks."""
    address, tag = origin(part)
    have = part.stat().st_size if tag and address == url and part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        start, total = _span(answer)
        if answer.status_code == 416 and have:  # nothing comes after what is there
            if total != have:
                part.unlink()
            return total == have
        _refuse(answer)
        if start not in (0, have):  # another part than the one asked for: start anew
            part.unlink(missing_ok=True)
            return False
        if start == 0:
            part.unlink(missing_ok=True)  # first, so that the tag never stands beside other bytes
            tag = answer.headers.get("ETag", "W/")
            tag = answer.headers.get("Last-Modified", "") if tag.startswith("W/") else tag
            remember(part, url, tag)  # without a tag, a broken transfer starts anew
        _write(answer, part, start, total)
    return total is None or part.stat().st_size == total


def _span(answer: requests.Response) -> tuple[int, int | None]:
    """(first byte that the answer holds, or -1; size of the whole file where it is said)."""
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
    if code == 429 or code >= 500:  # may pass
        raise requests.ConnectionError(f"the server answered {code}")
    if code not in (200, 206):
        raise SourceFailed(f"the server answered {code}")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        page = next(answer.iter_content(BLOCK), b"").decode(errors="replace")
        title = re.search(r"<title>\s*(.{1,80}?)\s*</title>", page, re.IGNORECASE)
        named = f" ({title[1]!r})" if title else ""
        raise SourceFailed(f"answered a web page{named} instead of the file")


def _write(answer: requests.Response, part: Path, start: int, total: int | None) -> None:
    progress = tqdm(
        total=total, initial=start, unit="B", unit_scale=True, disable=None,
        desc=part.name.removesuffix(".part"),
    )
    with progress, open(part, "ab" if start else "wb") as out:
        try:
            # undecoded: some servers call a .tar.gz a tar with Content-Encoding: gzip
            for block in answer.raw.stream(BLOCK, decode_content=False):
                out.write(block)
                progress.update(len(block))
        except HTTPError as error:
            raise requests.ConnectionError(error) from error


def remember(file: Path, url: str, tag: str = "") -> None:
    """Note where the bytes of the file, or of its part, came from."""
    file.with_name(f"{file.name.removesuffix('.part')}.origin").write_text(f"{url}\n{tag}")


def origin(file: Path) -> tuple[str, str]:
    """(address, ETag or date) of what lies in the file or in its part."""
    path = file.with_name(f"{file.name.removesuffix('.part')}.origin")
    url, _, tag = (path.read_text() if path.is_file() else "").partition("\n")
    return url, tag


def brief(error: BaseException) -> str:
    """The last cause in a few words: requests nests urllib3's long messages. Not that a length is
    no number, where a connection broke."""
    while (cause := error.__cause__ or error.__context__) and type(cause) is not ValueError:
        error = cause
    words = first_line(error)
    return words if len(words) < 120 else words[:117] + "..."
