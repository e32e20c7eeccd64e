"""scripts/data.sh, and the question that a grid asks before it fetches data."""

import functools
import http.server
import json
import shutil
import sys
import threading

import pytest
import trees

from ueo.commands import data
from ueo.datasets.domainnet import UFTDomainNet
from ueo.datasets.office_home import UFTOfficeHome
from ueo.errors import DataError
from ueo.fetch.download import Piece, Remote
from ueo.fetch.ensure import ensure


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.paths.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path):
    """Serve tmp_path/www; `paths` lists the requested paths."""
    (tmp_path / "www").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.paths, server.folder = [], tmp_path / "www"
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def office_home(server, tmp_path, monkeypatch):
    """A small Office-Home in its published layout on the server, with its own numbers of images as
    the published ones. Returns an empty data root."""
    trees.office_home(tmp_path / "src", images=1, folder="OfficeHomeDataset_10072016")
    shutil.make_archive(str(server.folder / "home"), "zip", tmp_path / "src")
    remote = Remote(f"{server.address}/home.zip", "OfficeHomeDataset_10072016.zip")
    dead = Remote(f"{server.address}/gone.zip", "OfficeHomeDataset_10072016.zip")
    monkeypatch.setattr(UFTOfficeHome, "pieces", (Piece("images", ((dead,), (remote,)), "page"),))
    monkeypatch.setattr(UFTOfficeHome, "published", dict.fromkeys(UFTOfficeHome.domains, 65))
    monkeypatch.setattr(UFTOfficeHome, "per_block", {})
    return tmp_path / "data"


def test_one_command_fetches_checks_and_shows_the_terms_once(office_home, capsys, server):
    argv = ["download", "office_home", "--root", str(office_home)]
    assert data.main(argv) == 0
    out = capsys.readouterr().out
    assert out.startswith("Office-Home: fair use notice")
    assert "gone.zip: the server answered 404" in out
    for domain in UFTOfficeHome.domains:
        assert f"Office-Home {domain}: 65 images of 65 classes, as published" in out
    asked = len(server.paths)
    assert data.main(argv) == 0
    assert len(server.paths) == asked and "fair use" not in capsys.readouterr().out


def test_another_version_is_reported_with_status_1(office_home, capsys, monkeypatch):
    monkeypatch.setitem(UFTOfficeHome.published, "Art", 66)
    assert data.main(["download", "office_home", "--root", str(office_home)]) == 1
    assert "Office-Home Art: DIFFERS: 65 images, the published version has 66" in (
        capsys.readouterr().out)
    argv = ["check", "office_home", "--root", str(office_home), "--domain", "real_world"]
    assert data.main(argv) == 0


def test_domainnet_fetches_only_the_requested_domain(server, tmp_path, monkeypatch, capsys):
    source = trees.domainnet(tmp_path / "src", ("sketch", "real"))
    for domain in ("sketch", "real"):
        shutil.make_archive(str(server.folder / domain), "zip", source, domain)
        for part in ("train", "test"):
            shutil.copy(source / f"{domain}_{part}.txt", server.folder)
    names = [("sketch", "sketch.zip"), ("real", "real.zip"),
             *((f"{d}_{p}.txt",) * 2 for d in ("sketch", "real") for p in ("train", "test"))]
    pieces = [Piece(n, ((Remote(f"{server.address}/{f}", f),),), "page") for n, f in names]
    monkeypatch.setattr(UFTDomainNet, "pieces", tuple(pieces))
    argv = ["download", "domainnet", "--root", str(tmp_path / "data"), "--domain", "sketch"]
    assert data.main(argv) == 1  # 345 lines are not 48,212
    assert set(server.paths) == {"/sketch.zip", "/sketch_train.txt", "/sketch_test.txt"}
    assert "345 lines in sketch_train.txt, the published version has 48212" in (
        capsys.readouterr().out)
    notes = json.loads((tmp_path / "data/domainnet/download.json").read_text())
    assert [n["name"] for n in notes] == ["sketch.zip", "sketch_train.txt", "sketch_test.txt"]
    data.main([*argv[:-1], "real"])
    assert "/real.zip" in server.paths and server.paths.count("/sketch.zip") == 1


@pytest.mark.parametrize(("answer", "fetched"), [("y", True), ("n", False), ("", False)])
def test_a_grid_asks_before_it_fetches(office_home, monkeypatch, answer, fetched):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    questions = []
    monkeypatch.setattr("builtins.input", lambda text: questions.append(text) or answer)
    domains = {"Art"}
    if fetched:
        ensure(UFTOfficeHome, str(office_home), domains, unasked=False)
    else:
        with pytest.raises(DataError, match="scripts/data.sh download office_home"):
            ensure(UFTOfficeHome, str(office_home), domains, unasked=False)
    assert (office_home / "office_home").exists() == fetched
    assert len(questions) == 1 and "about 1.2 GB" in questions[0]


def test_without_a_terminal_nothing_is_fetched(office_home, monkeypatch, server):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(DataError, match="Office-Home is not there"):
        ensure(UFTOfficeHome, str(office_home), {"Art"}, unasked=False)
    assert not server.paths
    ensure(UFTOfficeHome, str(office_home), {"Art"}, unasked=True)
    assert server.paths


def test_an_archive_put_there_by_hand_is_unpacked_without_a_question(
    office_home, server, monkeypatch
):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    folder = office_home / "office_home"
    folder.mkdir(parents=True)
    shutil.copy(server.folder / "home.zip", folder / "OfficeHomeDataset_10072016.zip")
    ensure(UFTOfficeHome, str(office_home), {"Art"}, unasked=False)
    assert not server.paths and UFTOfficeHome.find(str(office_home)) is not None


def test_an_archive_beside_other_domains_is_unpacked_without_a_question(tmp_path, monkeypatch):
    """The data set's folder may have any of its names."""
    folder = trees.domainnet(tmp_path / "data", ("sketch", "real")).rename(
        tmp_path / "data/domain_net")
    shutil.make_archive(str(folder / "real"), "zip", folder, "real")
    shutil.rmtree(folder / "real")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    ensure(UFTDomainNet, str(tmp_path / "data"), {"real"}, unasked=False)
    assert (folder / "real").is_dir()


def test_the_end_of_the_input_counts_as_a_no(office_home, monkeypatch):
    def ended(question):
        raise EOFError

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ended)
    with pytest.raises(DataError, match="Office-Home is not there"):
        ensure(UFTOfficeHome, str(office_home), {"Art"}, unasked=False)


@pytest.mark.parametrize(("argv", "part"), [
    (["download", "office_hom"], "did you mean 'office_home'"),
    (["check", "office_home"], "Office-Home is not there"),
    (["check", "office_home", "--domain", "Arts"], "did you mean 'Art'"),
    (["check", "emoji"], "emoji: cannot be downloaded or checked, because Emoji is no"),
])
def test_a_mistake_is_one_line(capsys, tmp_path, argv, part):
    assert data.main([*argv, "--root", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and part in line
