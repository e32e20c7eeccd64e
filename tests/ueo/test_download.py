"""Downloads from a server on loopback that breaks, lies, redirects and answers with pages."""

import hashlib
import http.server
import io
import json
import random
import re
import tarfile
import threading
import zipfile
from pathlib import Path

import gdown
import pytest

from ueo import download as module
from ueo.download import Piece, Remote, download, is_by_hand
from ueo.errors import DataError


def archive(name: str = "Art/TV/1.jpg", size: int = 300_000) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(name, random.Random(name).randbytes(size))
    return data.getvalue()


ZIP = archive()


class Server(http.server.ThreadingHTTPServer):
    """Serves ZIP at any path whose name says how."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.sent = 0
        self.breaks = 0  # connections still to be dropped in the middle
        self.content, self.tag = ZIP, '"one"'

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, path = self.server, self.path.lstrip("/")
        asked = self.headers.get("Range")
        server.requests.append((path, asked))
        if path.isdecimal():
            return self.send_error(int(path))
        if path.startswith("redirect"):
            self.send_response(302)
            self.send_header("Location", f"/{path}" if path == "redirect-loop" else "/file.zip")
            return self.end_headers()
        if path == "page":
            return self._send(200, b"<!DOCTYPE html><p>Virus scan warning</p>", {
                "Content-Type": "text/html; charset=utf-8"})
        if path == "text":
            return self._send(200, b"quota exceeded", {"Content-Type": "application/zip"})
        content, start = server.content, 0
        headers = {"ETag": server.tag} if path != "no-tag" else {}
        valid = self.headers.get("If-Range") in (None, server.tag)
        if asked and path != "no-range" and valid:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if start >= len(content):
                return self.send_error(416)
        self._send(206 if start else 200, content[start:], headers, short=path == "truncated")

    def _send(self, status: int, body: bytes, headers: dict, short: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if short or self.server.breaks:
            self.server.breaks -= not short
            body = body[: len(body) // 2]
        self.server.sent += len(body)
        self.wfile.write(body)


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(server, tmp_path):
    """fetch(path, ...): download a piece whose alternatives are these paths; returns its folder."""
    folder = tmp_path / "data" / "office_home"

    def fetch(*paths: str, checksum: str = "", name: str = "office.zip", report=print) -> Path:
        alternatives = tuple((Remote(
            path if ":" in path else server.url(path), name, checksum),) for path in paths)
        piece = Piece("images", alternatives, "https://example.org/page")
        download("Office-Home", [piece], folder, report=report)
        return folder

    fetch.folder = folder
    return fetch


def came(folder: Path) -> bool:
    with zipfile.ZipFile(io.BytesIO(ZIP)) as file:
        return (folder / "Art/TV/1.jpg").read_bytes() == file.read("Art/TV/1.jpg")


def test_an_archive_is_fetched_unpacked_and_noted(fetch, server):
    folder = fetch("file.zip")
    assert came(folder)
    assert sorted(p.name for p in folder.iterdir() if p.name[0] != ".") == ["Art", "download.json"]
    assert not (folder / ".download").exists()
    (note,) = json.loads((folder / "download.json").read_text())
    assert note["url"] == server.url("file.zip") and note["bytes"] == len(ZIP)
    assert note["sha256"] == hashlib.sha256(ZIP).hexdigest()
    assert note["md5"] == hashlib.md5(ZIP).hexdigest() and note["published_checksum"] is None


def test_a_broken_transfer_goes_on_where_it_stopped(fetch, server):
    server.breaks = 2
    assert came(fetch("file.zip"))
    assert server.sent <= len(ZIP) + 2 * module.BLOCK
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert len(starts) == 2 and len(ZIP) // 2 - module.BLOCK <= starts[0] < starts[1]


def test_a_later_call_goes_on_as_well(fetch, server):
    server.breaks = 3
    with pytest.raises(DataError, match="IncompleteRead|connection broke"):
        fetch("file.zip")
    sent = server.sent
    assert came(fetch("file.zip")) and server.sent - sent < len(ZIP) // 2


@pytest.mark.parametrize("path", ["no-range", "no-tag"])
def test_a_server_that_cannot_resume_starts_anew(fetch, server, path):
    server.breaks = 1
    assert came(fetch(path))
    assert server.sent == len(ZIP) + len(ZIP) // 2


def test_a_file_that_changed_meanwhile_is_not_glued(fetch, server):
    server.breaks = 3
    with pytest.raises(DataError):
        fetch("file.zip")
    server.tag, server.content = '"two"', archive(size=200_000)
    folder = fetch("file.zip")
    assert (folder / "Art/TV/1.jpg").stat().st_size == 200_000


def test_a_part_that_is_longer_than_the_file_starts_anew(fetch, server):
    part = fetch.folder / ".download" / "office.zip.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * (len(ZIP) + 10))
    part.with_name("office.zip.part.validator").write_text(server.tag)
    assert came(fetch("file.zip"))


def test_a_redirect_is_followed(fetch):
    assert came(fetch("redirect"))


@pytest.mark.parametrize(("path", "reason"), [
    ("404", "answered 404"), ("403", "answered 403"), ("500", "answered 500"),
    ("truncated", "IncompleteRead"), ("redirect-loop", "redirects"), ("page", "web page"),
    ("text", "no archive"), ("http://127.0.0.1:9/x", "refused"),
    ("http://no-such-host.invalid/x", ""),
])
def test_a_dead_source_is_left_for_the_next(fetch, path, reason):
    lines = []
    assert came(fetch(path, "file.zip", report=lines.append))
    assert any(reason in line and "Office-Home, images" in line for line in lines)


def test_a_wrong_checksum_is_left_for_the_next_and_not_kept(fetch, server):
    good = f"md5:{hashlib.md5(ZIP).hexdigest()}"
    assert came(fetch("file.zip", checksum=good))
    (note,) = json.loads((fetch.folder / "download.json").read_text())
    assert note["published_checksum"] == good


def test_a_file_with_the_wrong_checksum_is_not_unpacked(fetch):
    with pytest.raises(DataError, match="md5 is .*, expected 0000"):
        fetch("file.zip", checksum="md5:0000")
    assert not (fetch.folder / "Art").exists()
    assert not list((fetch.folder / ".download").glob("*.zip"))


def test_when_all_fail_the_message_says_what_to_fetch_by_hand(fetch):
    with pytest.raises(DataError) as caught:
        fetch("404", "page")
    line = str(caught.value)
    for part in ("Office-Home", "images", "answered 404", "web page", "fetch office.zip by hand",
                 "https://example.org/page", str(fetch.folder)):
        assert part in line
    assert "\n" not in line


def test_a_file_put_there_by_hand_needs_no_network(fetch, server):
    fetch.folder.mkdir(parents=True)
    (fetch.folder / "office.zip").write_bytes(ZIP)
    piece = Piece("images", ((Remote("http://127.0.0.1:9/x", "office.zip"),),), "")
    assert is_by_hand(piece, fetch.folder)
    assert came(fetch("404")) and not server.requests
    assert (fetch.folder / "office.zip").is_file()  # it is not ours to remove


def test_hostile_archives_are_refused(fetch, server):
    server.content = archive("../evil")
    with pytest.raises(DataError, match="would leave the target folder"):
        fetch("file.zip")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        info = tarfile.TarInfo("Art")
        info.type, info.linkname = tarfile.SYMTYPE, "/"
        file.addfile(info)
    server.content, server.tag = data.getvalue(), '"two"'
    with pytest.raises(DataError, match="is a link"):
        fetch("file.zip", name="office.tar.gz")
    assert not (fetch.folder / "Art").exists() and not (fetch.folder.parent / "evil").exists()


def test_a_list_is_put_in_place_as_it_is(fetch, server):
    server.content = b"sketch/ant/1.jpg 6\n"
    folder = fetch("file.txt", name="sketch_train.txt")
    assert (folder / "sketch_train.txt").read_bytes() == server.content


def test_every_file_of_an_alternative_is_needed(server, tmp_path):
    domains = tuple(Remote(server.url("404" if d == "Art" else "file"), f"{d}.tgz")
                    for d in ("Clipart", "Art"))
    whole = (Remote(server.url("file.zip"), "office.zip"),)
    download("Office-Home", [Piece("images", (domains, whole), "")], tmp_path)
    assert came(tmp_path)


# Google Drive, through gdown


def test_drive_gets_its_resource_key_and_resumes(fetch, monkeypatch):
    calls = []

    def fake(address, output, **options):
        calls.append((address, options))
        Path(output).write_bytes(ZIP)
        return output

    monkeypatch.setattr(gdown, "download", fake)
    assert came(fetch("gdrive:0B81:0-2SNW"))
    assert calls == [("https://drive.google.com/uc?id=0B81&resourcekey=0-2SNW", {"resume": True})]


@pytest.mark.parametrize("answer", [None, b"<html>quota</html>",
                                    RuntimeError("Too many users have viewed\nthis file")])
def test_drive_that_refuses_is_left_for_the_next(fetch, monkeypatch, answer):
    def fake(address, output, **options):
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return None
        Path(output).write_bytes(answer)
        return output

    monkeypatch.setattr(gdown, "download", fake)
    lines = []
    assert came(fetch("gdrive:0B81", "file.zip", report=lines.append))
    assert any(line.startswith("Office-Home, images: gdrive:0B81") for line in lines)


def test_gdown_fetches_as_it_is_called_here(server, tmp_path):
    """gdown itself: a change of its options would be noticed."""
    assert gdown.download(server.url("file.zip"), str(tmp_path / "a.zip"), quiet=True, resume=True)
    assert (tmp_path / "a.zip").read_bytes() == ZIP


def test_two_downloads_at_once_end_well(server, tmp_path):
    piece = Piece("images", ((Remote(server.url("file.zip"), "office.zip"),),), "")
    there = lambda piece: (tmp_path / "Art").is_dir()  # noqa: E731
    errors = []

    def work():
        try:
            download("Office-Home", [piece], tmp_path, is_there=there, report=lambda line: None)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and came(tmp_path) and len(server.requests) == 1


def test_a_disk_that_is_full_is_an_error_of_the_system(fetch, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        fetch("file.zip", "file.zip")
