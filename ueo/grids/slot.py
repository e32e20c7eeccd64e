"""A process that does a run; on a GPU run after run, until one fails.

It is forked from a server that has imported torch once (fork_server.py), so that starting it costs
a fraction of a second. The CUDA context, cuDNN's choices and reading the weights cost more than
that; they are paid once a process, which is put back as it was after each run (afresh.py).
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import torch

from ueo.grids.afresh import ProcessState
from ueo.grids.grid_settings import PlannedRun
from ueo.grids.offspring import kill_offspring_at_end

PATIENCE = 30  # seconds that a process without a run has to end
CONSOLE = "console.txt"  # what a run printed, kept only when it failed
ASKED = (
    "the process that runs are forked from has asked CUDA something, so this run cannot use it; "
    "no module imported there may call torch.cuda at its import (--device cpu runs all the same)"
)


class Slot:
    """The process, seen from the one that gives it runs. It answers when a run has ended well, or
    ends with it: without a GPU, or where it failed.

    gpu: one of the GPUs, or "" for none.
    """

    run: PlannedRun  # the last one that was started
    begin: float  # when it began, as time.monotonic() said

    def __init__(self, entry: Callable[..., int], gpu: str, choose: bool,
                 shares: dict[str, str]):
        """entry: called with a run's settings; returns an exit status. choose: the process is to
        see this GPU alone; an only one is seen under any name. shares: environment that says how
        many runs share the machine. Raises OSError."""
        self.gpu = gpu
        environment = {**shares, **({"CUDA_VISIBLE_DEVICES": gpu} if choose else {})}
        method = multiprocessing.get_start_method()
        self.connection, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("forkserver").Process(
            target=_serve, args=(entry, theirs, method, bool(gpu), environment)
        )
        try:
            self.process.start()
        except EOFError as error:
            raise OSError("the process that runs are forked from was killed") from error
        finally:
            theirs.close()

    def start(self, run: PlannedRun) -> None:
        """Raises OSError where its folder cannot be written."""
        run.folder.mkdir(parents=True, exist_ok=True)
        open(run.folder / CONSOLE, "w").close()
        self.run, self.begin = run, time.monotonic()
        self.connection.send(run)

    def status(self) -> int:
        """0 where the run ended well, else the exit status of the process."""
        with suppress(EOFError, OSError):
            if self.connection.poll():
                return self.connection.recv()
        self.process.join()
        return self.process.exitcode

    def close(self) -> None:
        """Let the process end, which waits for a run or has ended; one that hangs is killed."""
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()


def _serve(entry: Callable, runs: multiprocessing.connection.Connection, method: str, cuda: bool,
           environment: dict[str, str]) -> None:
    """In the process: do each run that comes.

    method: how the workers of its loaders start, as in a run alone. Left to itself, a process of a
    fork server starts one of its own for them, whose workers outlive a killed run.
    """
    threading.Thread(target=_end_with_parents, daemon=True).start()
    multiprocessing.set_start_method(method, force=True)
    kill_offspring_at_end()
    os.environ.update(environment)
    before = ProcessState()
    while True:
        try:
            run = runs.recv()
        except EOFError:
            return
        status = _do(entry, run, cuda)
        if status or not cuda:
            sys.exit(status)
        before.restore()
        runs.send(status)


def _do(entry: Callable, run: PlannedRun, cuda: bool) -> int:
    """Exit status of a run, all that it prints in a file."""
    console = run.folder / CONSOLE
    with open(console, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # so that an error is the last line
    if cuda and torch.cuda._is_in_bad_fork():
        sys.exit(f"Error: {ASKED}")
    status = entry(run.settings)
    if status == 0:
        console.unlink(missing_ok=True)
    return status


def _end_with_parents() -> None:
    """A killed grid or fork server takes its runs along: two must not write into one folder."""
    grid, server = multiprocessing.parent_process().sentinel, os.getppid()
    while not multiprocessing.connection.wait([grid], timeout=1):
        if os.getppid() != server:
            break
    os._exit(1)
