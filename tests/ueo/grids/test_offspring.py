"""Processes that a killed process had forked end with it."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")

CODE = """
import os, signal
from ueo.grids.offspring import kill_offspring_at_end
kill_offspring_at_end()
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:  # a worker's own
        os.write(write, b"x")
    signal.pause()
os.read(read, 1)
print("started", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_forked_by_a_killed_one_end_with_it():
    """The call returns when all processes that hold the pipe of its output have ended."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == "started\n"
