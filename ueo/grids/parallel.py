"""Many runs: what is finished is skipped, what is left runs in parallel, failures come at the end.

Each run is a process of its own, forked from a server that has imported torch once, so that
starting one costs a fraction of a second and a crash touches no other run.
"""

import multiprocessing
import multiprocessing.connection
import os
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ueo.errors import ConfigError, UserError, reason
from ueo.grids import fork_server
from ueo.grids.gpus import least_used
from ueo.grids.offspring import take_along
from ueo.results.record import read_result
from ueo.settings.options import quoted

CONSOLE = "console.txt"  # what a run printed, kept only when it failed
LOST = 255  # multiprocessing's status of a process whose fork server is gone
ASKED = (
    "the process that runs are forked from has asked CUDA something, so this run cannot use it; "
    "no module imported there may call torch.cuda at its import (--device cpu runs all the same)"
)


@dataclass(frozen=True)
class Run:
    """One run: its command line, its folder, and how it is called in messages.

    config: its resolved configuration, which a finished record in the folder must have.
    """

    argv: tuple[str, ...]
    folder: Path
    label: str
    config: dict = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Failure:
    run: Run
    message: str


def shard(runs: list[Run], part: str) -> list[Run]:
    """Every n-th run from the i-th on, for "i/n"; all for "". A run given twice counts once.

    Raises ConfigError for another part, and where two different runs have one folder.
    """
    by_folder: dict[Path, Run] = {}
    for run in runs:
        if by_folder.setdefault(run.folder, run).argv != run.argv:
            raise ConfigError(f"{run.folder}: two different runs would write there; run them apart")
    runs = list(by_folder.values())
    if not part:
        return runs
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", part)
    index, number = map(int, found.groups()) if found else (0, 0)
    if not 1 <= index <= number:
        raise ConfigError(f"--shard takes i/n with 1 <= i <= n, such as 1/4, not {quoted(part)}")
    return runs[index - 1 :: number]


def estimate(todo: list[Run], finished: dict[Path, dict], workers: int) -> tuple[float, int]:
    """(seconds for `todo`, how many of it no finished run tells about), from the wall times of
    finished runs of the same configuration, of the same domain where there are some.

    finished: {folder: result}; a folder ends in config/setting/domain/seed.
    """
    by_domain, by_config = defaultdict(list), defaultdict(list)
    for folder, result in finished.items():
        if (wall := result["wall_seconds"]) > 0:  # a clock was set back where it is not
            by_domain[folder.parents[2], folder.parent.name].append(wall)
            by_config[folder.parents[2]].append(wall)
    seconds, unknown = 0.0, 0
    for run in todo:
        known = by_domain.get((run.folder.parents[2], run.folder.parent.name)) or by_config.get(
            run.folder.parents[2]
        )
        seconds += sum(known) / len(known) if known else 0
        unknown += not known
    return seconds / workers, unknown


def execute(
    runs: list[Run],
    entry: Callable[[list[str]], int],
    workers: int,
    preload: list[str],
    devices: Sequence[str] = (),
    report: Callable[[str], None] = print,
) -> list[Failure]:
    """Run everything; returns the failures.

    entry:   called with a run's command line in a process of its own; returns an exit status.
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

    def ended(self, run: Run, begin: float, message: str, failed: bool) -> None:
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

    run: Run
    process: multiprocessing.process.BaseProcess
    gpu: str
    begin: float


def _start(run: Run, entry: Callable, devices: Sequence[str], used: list[str]) -> Job:
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


def _child(entry: Callable, run: Run, method: str, cuda: bool, visible: str) -> None:
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
    status = entry(list(run.argv))
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


def _outcome(status: int | None, run: Run) -> tuple[str, bool]:
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


def _summary(run: Run) -> str:
    result = read_result(run.folder)
    test = result["metrics"]["test"] if result else {}
    parts = [f"{k.upper()} {test[k]:.1f}" for k in ("pacc", "auroc") if test.get(k) is not None]
    return " ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
