"""Many runs: what is finished is skipped, what is left runs in parallel, failures come at the end.

Each run is a process of its own, forked from a server that has imported torch once, so that
starting one costs a fraction of a second and a crash touches no other run.
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ueo.errors import ConfigError
from ueo.record import read_result

CONSOLE = "console.txt"  # what a run printed, kept only when it failed


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


def worker_count(asked: int) -> int:
    """Runs at once: as asked, else one a GPU, else one a CPU core (at most 8)."""
    if asked < 0:
        raise ConfigError(f"--jobs takes a number of runs or 0, not {asked}")
    if asked:
        return asked
    return torch.cuda.device_count() or min(os.cpu_count() or 1, 8)


def shard(runs: list[Run], part: str) -> list[Run]:
    """Every n-th run from the i-th on, for "i/n"; all for "". Raises ConfigError for another."""
    if not part:
        return runs
    index, _, number = part.partition("/")
    if not (index.isdecimal() and number.isdecimal() and 1 <= int(index) <= int(number)):
        raise ConfigError(f"--shard takes i/n with 1 <= i <= n, such as 1/4, not {part!r}")
    return runs[int(index) - 1 :: int(number)]


def estimate(todo: list[Run], finished: dict[Path, dict], workers: int) -> tuple[float, int]:
    """(seconds for `todo`, how many of it no finished run tells about), from the wall times of
    finished runs of the same configuration, of the same domain where there are some.

    finished: {folder: result}; a folder ends in config/setting/domain/seed.
    """
    by_domain, by_config = defaultdict(list), defaultdict(list)
    for folder, result in finished.items():
        by_domain[folder.parents[2], folder.parent.name].append(result["wall_seconds"])
        by_config[folder.parents[2]].append(result["wall_seconds"])
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
    report: Callable[[str], None] = print,
) -> list[Failure]:
    """Run everything; returns the failures.

    entry:   called with a run's command line in a process of its own; returns an exit status.
    preload: modules that the fork server imports once.
    """
    os.environ["UEO_ENGINE_QUIET"] = "1"  # this process has said which engine is in use
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(preload)
    waiting, running, failures = list(runs), {}, []
    slots = list(range(workers))
    started, done = time.monotonic(), 0
    try:
        while waiting or running:
            while waiting and slots:
                run, slot = waiting.pop(0), slots.pop(0)
                process = context.Process(target=_child, args=(entry, run, slot))
                process.start()
                running[process.sentinel] = (process, run, slot, time.monotonic())
            for sentinel in multiprocessing.connection.wait(list(running), timeout=5):
                process, run, slot, begin = running.pop(sentinel)
                process.join()
                slots.append(slot)
                done += 1
                failure = _outcome(process.exitcode, run)
                if failure:
                    failures.append(failure)
                left = (time.monotonic() - started) / done * (len(runs) - done)
                report(
                    f"[{done:>{len(str(len(runs)))}}/{len(runs)}] {run.label}: "
                    f"{failure.message if failure else _summary(run)}  "
                    f"({time.monotonic() - begin:.0f} s, ETA {clock(left)})"
                )
    finally:
        for process, *_ in running.values():
            process.terminate()
    return failures


def _child(entry: Callable[[list[str]], int], run: Run, slot: int) -> None:
    """In the child: everything printed goes to a file, one GPU or one thread is used."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    run.folder.mkdir(parents=True, exist_ok=True)
    console = run.folder / CONSOLE
    with open(console, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # so that an error is the last line
    if torch.cuda.device_count() > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = device_of(
            slot, torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES", "")
        )
    status = entry(list(run.argv))
    if status == 0:
        console.unlink(missing_ok=True)
    sys.exit(status)


def device_of(slot: int, count: int, visible: str) -> str:
    """What CUDA_VISIBLE_DEVICES must be for the run in `slot`; `visible` is what the user set."""
    names = [name for name in visible.split(",") if name] or [str(i) for i in range(count)]
    return names[slot % count]


def _end_with_parent() -> None:
    """A killed grid takes its runs along: two grids must not write into one folder."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _outcome(status: int | None, run: Run) -> Failure | None:
    if status == 0:
        return None
    try:
        lines = (run.folder / CONSOLE).read_text().strip().splitlines()
    except OSError:
        lines = []
    if status is not None and status < 0:
        return Failure(run, f"killed by signal {-status}")
    return Failure(run, lines[-1] if lines else f"exit status {status}")


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
