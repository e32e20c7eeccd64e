"""Runs in parallel: each is a process of its own, so that a crash touches no other.

They are forked from a server that has imported torch once (fork_server.py), so that starting one
costs a fraction of a second. Failures come at the end.
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from ueo.errors import UserError, reason
from ueo.grids import fork_server
from ueo.grids.gpus import least_used
from ueo.grids.grid_settings import PlannedRun
from ueo.grids.offspring import take_along
from ueo.results.record import read_result

CONSOLE = "console.txt"  # what a run printed, kept only when it failed
LOST = 255  # multiprocessing's status of a process whose fork server is gone
ASKED = (
    "the process that runs are forked from has asked CUDA something, so this run cannot use it; "
    "no module imported there may call torch.cuda at its import (--device cpu runs all the same)"
)


@dataclass(frozen=True)
class Failure:
    run: PlannedRun
    message: str


def execute(
    runs: list[PlannedRun],
    entry: Callable[..., int],
    workers: int,
    preload: Sequence[str],
    devices: Sequence[str] = (),
    report: Callable[[str], None] = print,
) -> list[Failure]:
    """Run everything; returns the failures.

    entry:   called with a run's settings in a process of its own; returns an exit status.
    preload: modules that the fork server imports once; none may ask CUDA anything.
    devices: what `gpus.visible` gives; runs share them evenly.
    """
    waiting, running = list(runs), {}
    progress = Progress(len(runs), report)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run, begin = waiting.pop(0), time.monotonic()
                try:
                    fork_server.start(preload)  # again, if it was killed
                    job = _start(run, entry, devices, [job.gpu for job in running.values()])
                    running[job.process.sentinel] = job
                except OSError as error:  # its folder cannot be written, or no process be made
                    progress.ended(run, begin, reason(error), failed=True)
            for sentinel in multiprocessing.connection.wait(list(running), 5) if running else ():
                job = running.pop(sentinel)
                job.process.join()
                message, failed = _outcome(job.process.exitcode, job.run)
                progress.ended(job.run, job.begin, message, failed)
    finally:
        for job in running.values():
            job.process.terminate()
    return progress.failures


class Progress:
    """Says a line of each run that ended, and keeps the failures."""

    def __init__(self, runs: int, report: Callable[[str], None]):
        self.runs, self.report = runs, report
        self.done, self.started = 0, time.monotonic()
        self.failures: list[Failure] = []

    def ended(self, run: PlannedRun, begin: float, message: str, failed: bool) -> None:
        """begin: when it began, as time.monotonic() said."""
        now = time.monotonic()
        self.done += 1
        if failed:
            self.failures.append(Failure(run, message))
        left = (now - self.started) / self.done * (self.runs - self.done)
        number = f"{self.done:>{len(str(self.runs))}}/{self.runs}"
        self.report(f"[{number}] {run.label}: {message}  ({now - begin:.0f} s, ETA {clock(left)})")


@dataclass(frozen=True)
class Job:
    """A run under way, on one of the GPUs or on none ("")."""

    run: PlannedRun
    process: multiprocessing.process.BaseProcess
    gpu: str
    begin: float


def _start(run: PlannedRun, entry: Callable, devices: Sequence[str], used: list[str]) -> Job:
    """A process for the run, on the GPU that the fewest others use. Raises OSError."""
    run.folder.mkdir(parents=True, exist_ok=True)
    open(run.folder / CONSOLE, "w").close()
    gpu = least_used(devices, used)
    visible = gpu if len(devices) > 1 else ""  # the only one is seen under any name
    context = multiprocessing.get_context("forkserver")
    method = multiprocessing.get_start_method()
    process = context.Process(target=_child, args=(entry, run, method, bool(devices), visible))
    try:
        process.start()
    except EOFError as error:
        raise OSError("the process that runs are forked from was killed") from error
    return Job(run, process, gpu, time.monotonic())


def remove_consoles(finished: Iterable[Path]) -> None:
    """Remove what runs printed that were killed after they had finished."""
    for folder in finished:
        with suppress(OSError):
            (folder / CONSOLE).unlink(missing_ok=True)


def _child(entry: Callable, run: PlannedRun, method: str, cuda: bool, visible: str) -> None:
    """In the child: everything printed goes to a file, one GPU or one thread is used.

    method: how the workers of its loaders start, as in a run alone. Left to itself, a process of a
    fork server starts one of its own for them, whose workers outlive a killed run.
    """
    threading.Thread(target=_end_with_parents, daemon=True).start()
    multiprocessing.set_start_method(method, force=True)
    take_along()
    console = run.folder / CONSOLE
    with open(console, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # so that an error is the last line
    if cuda and torch.cuda._is_in_bad_fork():
        sys.exit(f"Error: {ASKED}")
    if visible:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    status = entry(run.settings)
    if status == 0:
        console.unlink(missing_ok=True)
    sys.exit(status)


def _end_with_parents() -> None:
    """A killed grid or fork server takes its runs along: two must not write into one folder."""
    grid, server = multiprocessing.parent_process().sentinel, os.getppid()
    while not multiprocessing.connection.wait([grid], timeout=1):
        if os.getppid() != server:
            break
    os._exit(1)


def _outcome(status: int | None, run: PlannedRun) -> tuple[str, bool]:
    """(what is said of a run that ended, whether it failed)."""
    if status == 0:
        try:
            return _summary(run), False
        except (UserError, OSError) as error:  # the record cannot be read
            return str(error), True
    if status is not None and status < 0:
        return f"killed by signal {-status}", True
    if status == LOST:
        return "lost: the process that it was forked from was killed", True
    with suppress(OSError):
        lines = (run.folder / CONSOLE).read_text(errors="replace").strip().splitlines()
        if lines:
            return lines[-1], True
    file = run.folder / CONSOLE
    return f"ended with status {status} and wrote nothing into {file}; is the disk full?", True


def _summary(run: PlannedRun) -> str:
    result = read_result(run.folder)
    test = result["metrics"]["test"] if result else {}
    parts = [f"{k.upper()} {test[k]:.1f}" for k in ("pacc", "auroc") if test.get(k) is not None]
    return " ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
