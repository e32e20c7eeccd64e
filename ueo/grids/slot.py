"""A worker process that executes one run; on a GPU it executes run after run, until one fails.

It is forked from a server that has imported torch (fork_server.py), so it starts in a fraction of a
second. The CUDA context, cuDNN's choices and reading the weights cost more. On a GPU they are paid
once per process, which is restored after each run (process_state.py).
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

from ueo.grids.grid_settings import PlannedRun
from ueo.grids.offspring import kill_offspring_at_end
from ueo.grids.process_state import ProcessState

PATIENCE = 30  # seconds that an idle process has to end
CONSOLE = "console.txt"  # what a run printed; kept only if it failed
CUDA_INITIALISED = (
    "CUDA was initialised in the fork server, so this run cannot use it; no module that the fork "
    "server imports may call torch.cuda at import (--device cpu works nevertheless)"
)


class Slot:
    """The parent's handle of a worker process. With a GPU the worker sends 0 after a successful run
    and waits for the next; after a failure, or without a GPU, it exits with the run's status.

    gpu: name of the GPU, or "" for none.
    """

    run: PlannedRun  # the last one started
    begin: float  # time.monotonic() at its start

    def __init__(self, entry: Callable[..., int], gpu: str, choose: bool,
                 shares: dict[str, str]):
        """Start the process; raise OSError if that fails. entry: called with a run's settings;
        returns an exit status. choose: show the process this GPU only (not needed if there is only
        one). shares: environment variables that tell how many runs share the machine."""
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
            raise OSError("the fork server was killed") from error
        finally:
            theirs.close()

    def start(self, run: PlannedRun) -> None:
        """Send the run to the process. Raise OSError if its folder cannot be written."""
        run.folder.mkdir(parents=True, exist_ok=True)
        open(run.folder / CONSOLE, "w").close()
        self.run, self.begin = run, time.monotonic()
        self.connection.send(run)

    def status(self) -> int:
        """Return 0 if the run succeeded, else the exit status of the process."""
        with suppress(EOFError, OSError):
            if self.connection.poll():
                return self.connection.recv()
        self.process.join()
        return self.process.exitcode

    def close(self) -> None:
        """End an idle process; kill it if it hangs."""
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()


def _serve(entry: Callable, runs: multiprocessing.connection.Connection, method: str, cuda: bool,
           environment: dict[str, str]) -> None:
    """Execute the runs that arrive (in the worker process).

    method: start method of its loader workers, the same as in a single run. By default a child of a
    fork server starts another fork server for them, and those workers outlive a killed run.
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
    """Execute a run with its output redirected to CONSOLE; return its exit status."""
    console = run.folder / CONSOLE
    with open(console, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # so that an error is the last line
    if cuda and torch.cuda._is_in_bad_fork():
        sys.exit(f"Error: {CUDA_INITIALISED}")
    status = entry(run.settings)
    if status == 0:
        console.unlink(missing_ok=True)
    return status


def _end_with_parents() -> None:
    """Exit when the grid or its fork server is killed, before a new grid writes into the folder."""
    grid, server = multiprocessing.parent_process().sentinel, os.getppid()
    while not multiprocessing.connection.wait([grid], timeout=1):
        if os.getppid() != server:
            break
    os._exit(1)
