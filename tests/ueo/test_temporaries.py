"""Temporaries of a running process stay; those of a killed process are removed at the next use."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, disk

from ueo.clip.towers import openai_files
from ueo.errors import CheckpointError, ConfigError
from ueo.fetch.archives import remove_left
from ueo.fetch.embedded import unpack_embedded
from ueo.files import atomic_path, write_json
from ueo.temporaries import sweep, temporary_file, temporary_folder


@pytest.fixture
def killed(tmp_path):
    """killed(code): run `code` in tmp_path, in a process that kills itself where KILL stands."""

    def run(code: str) -> Path:
        head = "import os, signal\nfrom pathlib import Path\nhere = Path('.')\n"
        end = "os.kill(os.getpid(), signal.SIGKILL)\n"
        done = subprocess.run(
            [sys.executable, "-c", head + code.replace("KILL", end)], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert left(tmp_path)
        return tmp_path

    return run


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_the_next_write_removes_a_half_written_file_of_a_killed_process(killed):
    folder = killed(
        "from ueo.files import atomic_path\n"
        "with atomic_path(here / 'result.json') as path:\n"
        "    path.write_text('half')\n"
        "    KILL"
    )
    write_json(folder / "other.json", 1)
    assert len(left(folder)) == 1  # writing another file does not remove it
    write_json(folder / "result.json", {})
    assert sorted(p.name for p in folder.iterdir()) == ["other.json", "result.json"]


def test_the_next_unpacking_removes_what_a_killed_one_left(killed):
    folder = killed(
        "from ueo.temporaries import temporary_folder\n"
        "with temporary_folder(here, '.unpack-') as path:\n"
        "    (path / 'part').mkdir()\n"
        "    (path / 'part' / 'image.png').write_text('half')\n"
        "    KILL"
    )
    from ueo.datasets.emoji import Emoji

    (folder / "emoji").mkdir()  # another process has unpacked the archive meanwhile
    Emoji.prepare(str(folder))
    assert not left(folder)


def test_the_next_fetch_removes_weights_that_a_killed_one_left(killed, monkeypatch):
    folder = killed(
        "from ueo.temporaries import temporary_folder\n"
        "with temporary_folder(here, '.RN50-') as path:\n"
        "    (path / 'RN50.pt').write_text('half')\n"
        "    KILL"
    )
    cache = folder / ".cache"
    (cache / "clip").mkdir(parents=True)
    for name in left(folder):
        if name.startswith(".RN50-"):
            (folder / name).rename(cache / "clip" / name)
    monkeypatch.setenv("HOME", str(folder))

    def fails(*_):
        raise OSError("no network")

    monkeypatch.setattr(openai_files.clip.clip, "_download", fails)
    with pytest.raises(CheckpointError):
        openai_files.download("RN50")
    assert list((cache / "clip").iterdir()) == []


def test_temporaries_of_a_running_process_stay(tmp_path):
    unpacking = temporary_folder(tmp_path, ".unpack-")
    with atomic_path(tmp_path / "a.json") as first, unpacking as folder:
        first.write_text("first")
        (folder / "image.png").write_text("here")
        write_json(tmp_path / "a.json", "second")
        remove_left(tmp_path)
        assert first.read_text() == "first" and (folder / "image.png").is_file()
    assert (tmp_path / "a.json").read_text() == "first"
    assert not left(tmp_path)


def test_a_pipe_or_a_folder_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(ConfigError, match=f"{name}: is .*; name a file"):
            write_json(tmp_path / name, {})
    assert (tmp_path / "pipe").is_fifo() and len(list(tmp_path.iterdir())) == 2


def test_only_temporaries_are_swept(tmp_path):
    for name in (".unpack-notes", ".unpack-abcd12345", "unpack-abcd1234", ".unpack-ABCD1234"):
        (tmp_path / name).touch()
    sweep(tmp_path, ".unpack-")
    assert len(list(tmp_path.iterdir())) == 4
    sweep(tmp_path / "absent", ".unpack-")


def test_without_file_locks_no_temporary_is_removed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no locks available")

    (tmp_path / ".a-abcd1234.json").touch()
    monkeypatch.setattr("ueo.temporaries.fcntl.flock", refuse)
    write_json(tmp_path / "a.json", 1)
    assert left(tmp_path) == [".a-abcd1234.json"]
    monkeypatch.setattr("ueo.temporaries.fcntl", None)
    with temporary_file(tmp_path, ".b-") as path:
        assert path.is_file()
    assert left(tmp_path) == [".a-abcd1234.json"]


def test_an_error_of_a_full_disk_names_the_file(tmp_path):
    file = tmp_path / "table.json"
    with pytest.raises(OSError) as caught, disk(4000):
        write_json(file, ["x" * 100] * 100)
    assert caught.value.filename == str(file)
    assert not list(tmp_path.iterdir())


def test_an_archive_that_does_not_fit_on_the_disk_is_named(tmp_path):
    with pytest.raises(OSError) as caught, disk(4000):
        unpack_embedded("emoji", tmp_path)
    assert "emoji" in str(caught.value.filename)
    assert not list(tmp_path.iterdir())
