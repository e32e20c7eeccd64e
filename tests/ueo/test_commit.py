"""The commit in a record; a killed run must not leave a lock in the checkout for asking."""

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
    assert commit(tmp_path) is None  # of none
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "output").touch()
    os.utime(file, (1, 1))  # what makes `git describe` write the index anew
    before = (tmp_path / ".git" / "index").stat().st_mtime_ns
    assert commit(tmp_path) == git(tmp_path, "rev-parse", "HEAD")[:12]
    file.write_text("2")
    assert commit(tmp_path) == git(tmp_path, "rev-parse", "HEAD")[:12] + "-dirty"
    assert (tmp_path / ".git" / "index").stat().st_mtime_ns == before


def test_without_a_checkout_there_is_no_commit(tmp_path):
    assert commit(tmp_path) is None
