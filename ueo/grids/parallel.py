"""Runs in parallel, each in a process that no other run uses at the time (slot.py), so that a crash
touches no other. Failures come at the end.
"""

import multiprocessing.connection
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ueo.errors import UserError, reason
from ueo.grids import fork_server
from ueo.grids.gpus import Turns
from ueo.grids.grid_settings import PlannedRun
from ueo.grids.slot import CONSOLE, Slot
from ueo.results.record import read_result
from ueo.settings.machine_share import share

UNCAUGHT = 1  # Python's status after an error that nobody caught
LOST = 255  # multiprocessing's status of a process whose fork server is gone


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

    entry:   called with a run's settings in another process; returns an exit status.
    preload: modules that the fork server imports once; none may ask CUDA anything.
    devices: what `gpus.visible` gives; runs share them evenly.
    """
    waiting, free, running = list(runs), [], []
    shares = share(min(workers, len(runs)), len(devices))
    progress, turns = Progress(len(runs), report), Turns(devices, workers)
    try:
        while waiting or running:
            while waiting and (gpu := turns.next([slot.gpu for slot in running])) is not None:
                run, begin = waiting.pop(0), time.monotonic()
                try:
                    slot = _free(free, gpu)
                    if slot is None:
                        fork_server.start(preload)  # again, if it was killed
                        slot = Slot(entry, gpu, len(devices) > 1, shares)
                    slot.start(run)
                    running.append(slot)
                except OSError as error:  # its folder cannot be written, or no process be made
                    progress.ended(run, begin, reason(error), failed=True)
            for slot in _ended(running):
                running.remove(slot)
                message, failed = _outcome(slot.status(), slot.run)
                progress.ended(slot.run, slot.begin, message, failed)
                if turns.ended(slot.gpu, failed):
                    report(f"GPU {slot.gpu}: 2 runs in a row failed there; from now on it gets few,"
                           " as long as others do better")
                free.append(slot)
            while free and not waiting:  # a GPU has more room for those that run
                free.pop().close()
    finally:
        for slot in running:
            slot.process.terminate()
        for slot in free:
            slot.close()
    return progress.failures


def _free(slots: list[Slot], gpu: str) -> Slot | None:
    """One whose process waits for a run on this GPU; those whose process has ended are taken out.
    """
    for slot in list(slots):
        if not slot.process.is_alive():
            slot.close()
            slots.remove(slot)
    slot = next((slot for slot in slots if slot.gpu == gpu), None)
    if slot is not None:
        slots.remove(slot)
    return slot


def _ended(slots: list[Slot]) -> list[Slot]:
    """Those whose run has ended, after 5 seconds at most."""
    ways = [way for slot in slots for way in (slot.connection, slot.process.sentinel)]
    ready = multiprocessing.connection.wait(ways, 5) if ways else []
    return [s for s in slots if s.connection in ready or s.process.sentinel in ready]


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


def remove_consoles(finished: Iterable[Path]) -> None:
    """Remove what runs printed that were killed after they had finished."""
    for folder in finished:
        with suppress(OSError):
            (folder / CONSOLE).unlink(missing_ok=True)


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
            return _error(lines) if status == UNCAUGHT else lines[-1], True
    file = run.folder / CONSOLE
    return f"ended with status {status} and wrote nothing into {file}; is the disk full?", True


def _error(lines: list[str]) -> str:
    """Of what a process printed that ended with a traceback, the first line of the error's text."""
    after = next((i for i, line in reversed([*enumerate(lines, 1)])
                  if line.startswith("Traceback (")), len(lines))
    return next((line for line in lines[after:] if line and not line[0].isspace()), lines[-1])


def _summary(run: PlannedRun) -> str:
    result = read_result(run.folder)
    test = result["metrics"]["test"] if result else {}
    parts = [f"{k.upper()} {test[k]:.1f}" for k in ("pacc", "auroc") if test.get(k) is not None]
    return " ".join(parts) or "done"


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
