"""The commit in a record. Reading it never writes to the checkout, so no lock can stay behind."""

import os
import shutil
import subprocess

import pytest

from ueo.results.record import commit

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True,
                          check=True)
    return done.stdout.strip()


def test_the_commit_is_named_and_the_index_is_left_alone(tmp_path):
    git(tmp_path, "init")
    file = tmp_path / "train.py"
    file.write_text("1")
    assert commit(tmp_path) is None  # nothing was committed yet
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "output").touch()
    os.utime(file, (1, 1))  # a new time stamp makes `git describe` rewrite the index
    before = (tmp_path / ".git" / "index").stat().st_mtime_ns
    assert commit(tmp_path) == git(tmp_path, "rev-parse", "HEAD")[:12]
    file.write_text("2")
    assert commit(tmp_path) == git(tmp_path, "rev-parse", "HEAD")[:12] + "-dirty"
    assert (tmp_path / ".git" / "index").stat().st_mtime_ns == before


def test_without_a_checkout_there_is_no_commit(tmp_path):
    assert commit(tmp_path) is None
