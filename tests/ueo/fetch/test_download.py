"""Downloads from a local server that breaks off, lies, redirects and answers with web pages."""

import hashlib
import http.server
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import gdown
import pytest
from conftest import REPOSITORY

from ueo.errors import DataError
from ueo.fetch import download as module
from ueo.fetch import drive, transfer
from ueo.fetch.download import Piece, Remote, download, is_by_hand


def archive(name: str = "Art/TV/1.jpg", size: int = 300_000) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(zipfile.ZipInfo(name), random.Random(f"{name} {size}").randbytes(size))
    return data.getvalue()


ZIP = archive()


class Server(http.server.ThreadingHTTPServer):
    """Serves ZIP at every path. The path's name says how the server behaves."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []  # path, Range
        self.sent = 0
        self.breaks = 0  # connections still to be dropped in the middle
        self.content, self.tag = ZIP, '"one"'
        self.files: dict[str, bytes] = {}  # {path: what is served there instead}
        self.date = "Mon, 01 Jan 2024 00:00:00 GMT"

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
            targets = {"redirect-loop": f"/{path}", "redirect-ftp": "ftp://127.0.0.1/file.zip",
                       "redirect-nowhere": "http://.a..b/", "redirect-nonsense": "http://[::1/"}
            self.send_response(301 if path == "redirect-301" else 302)
            self.send_header("Location", targets.get(path, "/file.zip"))
            return self.end_headers()
        if path == "page":
            return self._send(200, b"<!DOCTYPE html><title>Quota exceeded</title>", {
                "Content-Type": "text/html; charset=utf-8"})
        if path == "text":
            return self._send(200, b"quota exceeded", {"Content-Type": "application/zip"})
        content, start = server.files.get(path, server.content), 0
        headers = {"ETag": server.tag}
        if path in ("no-tag", "date"):
            headers = {"Last-Modified": server.date, "ETag": "W/weak"} if path == "date" else {}
        if path == "slow":
            time.sleep(0.3)
        asked_for = self.headers.get("If-Range", "")
        valid = not asked_for or asked_for in headers.values() and asked_for[:2] != "W/"
        if asked and path != "no-range" and valid:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if start >= len(content):
                return self._send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            shift = 100 * (path == "shifted")
            end = min(len(content), start + 100_000) if path == "portions" else len(content)
            headers["Content-Range"] = f"bytes {start - shift}-{end - 1}/{len(content)}"
            return self._send(206, content[start - shift:end], headers, path == "truncated")
        if path == "encoded":
            headers["Content-Encoding"] = "gzip"
        self._send(200, content, headers, short=path == "truncated")

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
    """fetch(path, ...): download a piece with these paths as alternatives. Returns its folder."""
    folder = tmp_path / "data" / "office_home"

    def fetch(*paths: str, checksum: str = "", name: str = "office.zip", report=print) -> Path:
        alternatives = tuple((Remote(
            path if ":" in path else server.url(path), name, checksum),) for path in paths)
        piece = Piece("images", alternatives, "https://example.org/page")
        download("Office-Home", [piece], folder, report=report)
        return folder

    fetch.folder = folder
    return fetch


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def came(folder: Path) -> bool:
    with zipfile.ZipFile(io.BytesIO(ZIP)) as file:
        return (folder / "Art/TV/1.jpg").read_bytes() == file.read("Art/TV/1.jpg")


def test_an_archive_is_fetched_unpacked_and_noted(fetch, server):
    folder = fetch("file.zip")
    assert came(folder)
    assert left(folder) == [".download.lock", "Art", "download.json"]
    (note,) = json.loads((folder / "download.json").read_text())
    assert note["url"] == server.url("file.zip") and note["bytes"] == len(ZIP)
    assert note["sha256"] == hashlib.sha256(ZIP).hexdigest()
    assert note["md5"] == hashlib.md5(ZIP).hexdigest() and note["published_checksum"] is None


@pytest.mark.parametrize("path", ["file.zip", "date"])
def test_a_broken_transfer_resumes_where_it_stopped(fetch, server, path):
    server.breaks = 2
    assert came(fetch(path))
    assert server.sent <= len(ZIP) + 2 * transfer.BLOCK
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert len(starts) == 2 and len(ZIP) // 2 - transfer.BLOCK <= starts[0] < starts[1]


def test_a_later_call_resumes_a_broken_transfer(fetch, server):
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


@pytest.mark.parametrize("path", ["shifted", "portions"])
def test_an_answer_with_other_bytes_than_requested_is_not_appended(fetch, server, path):
    server.breaks = 1
    assert came(fetch(path))
    assert len(server.requests) == 3


@pytest.mark.parametrize("path", ["file.zip", "date"])
def test_a_file_that_changed_meanwhile_is_fetched_anew(fetch, server, path):
    server.breaks = 3
    with pytest.raises(DataError):
        fetch(path)
    server.tag, server.content = '"two"', archive(size=400_000)
    server.date = "Tue, 02 Jan 2024 00:00:00 GMT"
    folder = fetch(path)
    assert (folder / "Art/TV/1.jpg").stat().st_size == 400_000


def test_a_part_from_another_source_is_not_continued(fetch, server):
    server.breaks = 3
    with pytest.raises(DataError):
        fetch("file.zip")
    sent = server.sent
    assert came(fetch("mirror.zip")) and server.sent - sent == len(ZIP)


@pytest.mark.parametrize(("part", "requests"), [(ZIP, 1), (b"x" * (len(ZIP) + 10), 2)])
def test_a_complete_part_is_used_and_one_that_is_too_long_is_fetched_anew(
    fetch, server, part, requests
):
    folder = fetch.folder / ".download"
    folder.mkdir(parents=True)
    (folder / "office.zip.part").write_bytes(part)
    (folder / "office.zip.origin").write_text(f"{server.url('file.zip')}\n{server.tag}")
    assert came(fetch("file.zip")) and len(server.requests) == requests


def test_a_run_killed_while_unpacking_does_not_fetch_again(fetch, server, monkeypatch):
    def killed(*args):
        (fetch.folder / ".unpack-k1ll3d_1").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.archives, "unpack_all", killed)
        fetch("file.zip")
    assert came(fetch("file.zip")) and len(server.requests) == 1
    assert left(fetch.folder) == [".download.lock", "Art", "download.json"]


def test_a_tar_that_the_server_calls_encoded_is_not_decoded(fetch, server):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("Art/1.jpg"))
    server.content = data.getvalue()
    folder = fetch("encoded", name="office.tar.gz")
    (note,) = json.loads((folder / "download.json").read_text())
    assert note["sha256"] == hashlib.sha256(server.content).hexdigest()
    assert (folder / "Art/1.jpg").is_file()


@pytest.mark.parametrize("path", ["redirect", "redirect-301"])
def test_a_redirect_is_followed(fetch, path):
    assert came(fetch(path))


@pytest.mark.parametrize(("path", "reason"), [
    ("404", "answered 404"), ("403", "answered 403"), ("500", "answered 500"),
    ("truncated", "IncompleteRead"), ("redirect-loop", "redirects"),
    ("redirect-ftp", "No connection adapters"), ("redirect-nowhere", "label empty"),
    ("redirect-nonsense", "Invalid IPv6 URL"), ("page", "web page ('Quota exceeded')"),
    ("text", "no archive"), ("http://127.0.0.1:9/x", "refused"),
    ("http://no-such-host.invalid/x", ""),
])
def test_after_a_failed_source_the_next_is_tried(fetch, path, reason):
    lines = []
    assert came(fetch(path, "file.zip", report=lines.append))
    assert any(reason in line and "Office-Home, images" in line for line in lines)


def test_after_a_wrong_checksum_the_next_source_is_tried(server, tmp_path):
    good = f"md5:{hashlib.md5(ZIP).hexdigest()}"
    wrong = Remote(server.url("first"), "office.zip", f"sha256:{'0' * 64}")
    right = Remote(server.url("second"), "office.zip", good.upper().replace("MD5", "md5"))
    lines = []
    piece = Piece("images", ((wrong,), (right,)), "")
    download("Office-Home", [piece], tmp_path, report=lines.append)
    assert came(tmp_path) and any("sha256 is" in line for line in lines)
    (note,) = json.loads((tmp_path / "download.json").read_text())
    assert note["published_checksum"].lower() == good and note["url"] == server.url("second")


def test_after_a_damaged_archive_the_next_source_is_tried(server, tmp_path):
    server.content = ZIP[:100] + bytes(100) + ZIP[200:]
    lines = []

    def report(line):
        lines.append(line)
        server.content = ZIP if "not a readable archive" in line else server.content

    remotes = [(Remote(server.url(name), "office.zip"),) for name in ("first", "second")]
    download("Office-Home", [Piece("images", tuple(remotes), "")], tmp_path, report=report)
    assert came(tmp_path) and len(server.requests) == 2
    assert any(server.url("first") in line and "not a readable" in line for line in lines)


def test_a_file_with_the_wrong_checksum_is_not_unpacked(fetch):
    with pytest.raises(DataError, match="md5 is .*, expected 0000"):
        fetch("file.zip", checksum="md5:0000")
    assert not (fetch.folder / "Art").exists()
    assert not list((fetch.folder / ".download").glob("*.zip"))


def test_a_list_is_checked_as_an_archive_is(fetch):
    """DomainNet's lists have published checksums, and they define the training and test sets."""
    with pytest.raises(DataError, match="md5 is .*, expected 0000"):
        fetch("file.zip", checksum="md5:0000", name="sketch_train.txt")
    assert not (fetch.folder / "sketch_train.txt").exists()
    folder = fetch("file.zip", checksum=f"md5:{hashlib.md5(ZIP).hexdigest()}",
                   name="sketch_train.txt")
    assert (folder / "sketch_train.txt").read_bytes() == ZIP


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
    assert (fetch.folder / "office.zip").is_file()  # the user's file is not removed
    (note,) = json.loads((fetch.folder / "download.json").read_text())
    assert note["url"] is None and note["sha256"] == hashlib.sha256(ZIP).hexdigest()


def test_a_damaged_file_put_there_by_hand_is_named_and_kept(fetch, server):
    fetch.folder.mkdir(parents=True)
    path = fetch.folder / "office.zip"
    for content, reason in (
        (ZIP[:100] + bytes(100) + ZIP[200:], "put there by hand: replace it, or remove it"),
        (b"<html>", "it is a web page instead of the file; replace or remove it"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            fetch("file.zip", "mirror.zip")
        assert reason in str(caught.value) and str(caught.value).count(str(path)) == 1
    assert path.is_file() and not server.requests


def test_an_existing_folder_is_named_and_the_archive_is_not_fetched_twice(fetch, server):
    (fetch.folder / "Art").mkdir(parents=True)
    with pytest.raises(DataError, match="Art: already exists"):
        fetch("file.zip", "mirror.zip")
    (fetch.folder / "Art").rmdir()
    assert came(fetch("file.zip")) and len(server.requests) == 1


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


def test_a_page_instead_of_a_list_is_refused_whatever_it_is_called(fetch, server):
    server.content = b"\n<!DOCTYPE html><p>Please sign in</p>"
    with pytest.raises(DataError, match="web page"):
        fetch("file.txt", name="sketch_train.txt")
    assert not (fetch.folder / "sketch_train.txt").exists()


def test_the_record_is_merged_and_a_damaged_one_is_named_before_a_transfer(server, tmp_path):
    lists = [Remote(server.url(name), name) for name in ("a.txt", "b.txt")]
    for some in (lists[:1], lists):
        download("DomainNet", [Piece("lists", (tuple(some),), "")], tmp_path)
    notes = json.loads((tmp_path / "download.json").read_text())
    assert [note["url"] for note in notes] == [remote.url for remote in lists]
    assert len(server.requests) == 2
    (tmp_path / "download.json").write_text("[")
    with pytest.raises(DataError, match="download.json: not readable"):
        download("DomainNet", [Piece("lists", (tuple(lists),), "")], tmp_path)


def test_every_file_of_an_alternative_is_needed(server, tmp_path):
    domains = tuple(Remote(server.url("404" if d == "Art" else "file"), f"{d}.tgz")
                    for d in ("Clipart", "Art"))
    whole = (Remote(server.url("file.zip"), "office.zip"),)
    download("Office-Home", [Piece("images", (domains, whole), "")], tmp_path)
    assert came(tmp_path) and left(tmp_path) == [".download.lock", "Art", "download.json"]


def test_an_alternative_is_unpacked_with_all_its_archives_or_not_at_all(server, tmp_path):
    server.files["Real.zip"] = ZIP[:100] + bytes(100) + ZIP[200:]
    domains = tuple(Remote(server.url(name), name) for name in ("Art.zip", "Real.zip"))
    piece = Piece("images", (domains, (Remote(server.url("404"), "all.zip"),)), "")
    with pytest.raises(DataError, match="fetch Art.zip and Real.zip or all.zip by hand"):
        download("Office-Home", [piece], tmp_path)
    assert left(tmp_path) == [".download", ".download.lock"]
    server.files["Real.zip"] = archive("Real/1.jpg")
    download("Office-Home", [piece], tmp_path)
    assert came(tmp_path) and (tmp_path / "Real/1.jpg").is_file()
    assert [path for path, _ in server.requests].count("Art.zip") == 1


# Google Drive, through gdown


def test_drive_is_asked_through_gdown_which_resumes(fetch, monkeypatch):
    calls = []

    def fake(url, output, quiet, resume, timeout):
        calls.append((url, resume, timeout, Path(output).name))
        Path(output).write_bytes(ZIP)
        return output

    monkeypatch.setattr(gdown, "download", fake)
    assert came(fetch("gdrive:0B81"))
    assert calls == [("https://drive.google.com/uc?id=0B81", True, 60, "office.zip")]
    assert left(fetch.folder) == [".download.lock", "Art", "download.json"]


def test_drive_gets_the_resource_key_that_gdown_would_drop(fetch, server, monkeypatch):
    monkeypatch.setattr(drive, "DRIVE_FILES", server.url("drive"))
    monkeypatch.setattr(gdown, "download", None)
    assert came(fetch("gdrive:0B81:0-2SNW"))
    ((path, _),) = server.requests
    assert path == "drive?id=0B81&export=download&confirm=t&resourcekey=0-2SNW"


def test_a_part_that_gdown_left_is_not_continued_with_another_file(fetch, monkeypatch):
    folders = []

    def broken(url, output, quiet, resume):
        folders.append(Path(output).parent)
        Path(f"{output}abcdefgh.part").write_bytes(b"half")
        raise RuntimeError("broken")

    monkeypatch.setattr(gdown, "download", broken)
    assert came(fetch("gdrive:0B81", "gdrive:1uY0", "file.zip"))
    assert len(set(folders)) == 2 and not (fetch.folder / ".download").exists()


@pytest.mark.parametrize("answer", [None, b"<html>quota</html>",
                                    RuntimeError("Too many users have viewed\nthis file")])
def test_after_drive_refuses_the_next_source_is_tried(fetch, monkeypatch, answer):
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


def test_gdown_accepts_the_options_that_are_passed_to_it(server, tmp_path):
    """The real gdown is called, so a change of its options is noticed."""
    assert gdown.download(server.url("file.zip"), str(tmp_path / "a.zip"), quiet=True, resume=True)
    assert (tmp_path / "a.zip").read_bytes() == ZIP


def test_concurrent_downloads_fetch_once(server, tmp_path):
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


def test_processes_that_fetch_different_pieces_of_a_set_do_not_disturb_each_other(
    server, tmp_path
):
    code = (
        "import sys; from pathlib import Path; from ueo.fetch.download import *\n"
        "url, name, folder = sys.argv[1:]\n"
        "download('DomainNet', [Piece(name, ((Remote(url, name),),), '')], Path(folder))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.url("slow"), f"{i}.txt", str(tmp_path)],
            cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for i in range(3)
    ]
    assert [process.communicate()[1] for process in running] == ["", "", ""]
    assert left(tmp_path) == [".download.lock", "0.txt", "1.txt", "2.txt", "download.json"]
    assert len(json.loads((tmp_path / "download.json").read_text())) == 3


def test_a_full_disk_is_raised_as_an_os_error(fetch, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        fetch("file.zip", "file.zip")
