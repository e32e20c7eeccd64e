"""Execute runs in parallel, each in its own process (slot.py): a crash affects no other run."""

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

UNCAUGHT = 1  # Python's exit status after an uncaught error
LOST = 255  # multiprocessing's exit status of a process whose fork server is gone


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
    """Run everything and return the failures.

    entry:   called with a run's settings in another process; returns an exit status.
    preload: modules that the fork server imports once; none may initialise CUDA.
    devices: from `gpus.visible`; runs share them evenly.
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
                        fork_server.start(preload)  # restarts it if it was killed
                        slot = Slot(entry, gpu, len(devices) > 1, shares)
                    slot.start(run)
                    running.append(slot)
                except OSError as error:  # the folder is read-only, or the process cannot start
                    progress.ended(run, begin, reason(error), failed=True)
            for slot in _ended(running):
                running.remove(slot)
                message, failed = _outcome(slot.status(), slot.run)
                progress.ended(slot.run, slot.begin, message, failed)
                if turns.ended(slot.gpu, failed):
                    report(f"GPU {slot.gpu}: 2 runs in a row failed there; it now gets few runs "
                           "while other GPUs do better")
                free.append(slot)
            while free and not waiting:  # frees GPU memory for the other runs
                free.pop().close()
    finally:
        for slot in running:
            slot.process.terminate()
        for slot in free:
            slot.close()
    return progress.failures


def _free(slots: list[Slot], gpu: str) -> Slot | None:
    """Take out and return an idle slot of this GPU; None if there is none. Drop dead slots."""
    for slot in list(slots):
        if not slot.process.is_alive():
            slot.close()
            slots.remove(slot)
    slot = next((slot for slot in slots if slot.gpu == gpu), None)
    if slot is not None:
        slots.remove(slot)
    return slot


def _ended(slots: list[Slot]) -> list[Slot]:
    """Wait up to 5 seconds for a run to end; return the slots whose run has ended."""
    ways = [way for slot in slots for way in (slot.connection, slot.process.sentinel)]
    ready = multiprocessing.connection.wait(ways, 5) if ways else []
    return [s for s in slots if s.connection in ready or s.process.sentinel in ready]


class Progress:
    """Reports one line per ended run, and keeps the failures."""

    def __init__(self, runs: int, report: Callable[[str], None]):
        self.runs, self.report = runs, report
        self.done, self.started = 0, time.monotonic()
        self.failures: list[Failure] = []

    def ended(self, run: PlannedRun, begin: float, message: str, failed: bool) -> None:
        """Report an ended run. begin: time.monotonic() at its start."""
        now = time.monotonic()
        self.done += 1
        if failed:
            self.failures.append(Failure(run, message))
        left = (now - self.started) / self.done * (self.runs - self.done)
        number = f"{self.done:>{len(str(self.runs))}}/{self.runs}"
        self.report(f"[{number}] {run.label}: {message}  ({now - begin:.0f} s, ETA {clock(left)})")


def remove_consoles(finished: Iterable[Path]) -> None:
    """Remove the console files of runs that were killed just after they had finished."""
    for folder in finished:
        with suppress(OSError):
            (folder / CONSOLE).unlink(missing_ok=True)


def _outcome(status: int, run: PlannedRun) -> tuple[str, bool]:
    """Return (message about an ended run, whether it failed)."""
    if status == 0:
        try:
            return _summary(run), False
        except (UserError, OSError) as error:  # the record cannot be read
            return str(error), True
    if status < 0:
        return f"killed by signal {-status}", True
    if status == LOST:
        return "lost: its fork server was killed", True
    with suppress(OSError):
        lines = (run.folder / CONSOLE).read_text(errors="replace").strip().splitlines()
        if status == UNCAUGHT and (message := _uncaught(lines)):
            return f"{message} (traceback: {run.folder / CONSOLE})", True
        if lines:
            return lines[-1], True
    file = run.folder / CONSOLE
    return f"ended with status {status} and wrote nothing into {file}; is the disk full?", True


def _uncaught(lines: list[str]) -> str:
    """Return the first line of the error message after the last traceback in `lines`; "" if there
    is no traceback."""
    after = next((i for i, line in reversed([*enumerate(lines, 1)])
                  if line.startswith("Traceback (")), len(lines))
    return next((line for line in lines[after:] if line and not line[0].isspace()), "")


def _summary(run: PlannedRun) -> str:
    result = read_result(run.folder)
    test = result["metrics"]["test"] if result else {}
    parts = [f"{k.upper()} {test[k]:.1f}" for k in ("pacc", "auroc") if test.get(k) is not None]
    return " ".join(parts) or "done"


def clock(seconds: float) -> str:
    """Format seconds as h:mm:ss."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
