"""Execute the unfinished runs of a grid: fetch data and weights first, then run in parallel."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dassl.data.datasets import DATASET_REGISTRY

from ueo.clip import backbones
from ueo.fetch.ensure import absent, ensure
from ueo.files import check_writable
from ueo.grids import gpus, parallel
from ueo.grids.finished import waiting
from ueo.grids.fork_server import PRELOAD
from ueo.grids.grid_settings import GridSettings, PlannedRun, shard
from ueo.grids.parallel import Failure
from ueo.runs.configure import build_cfg
from ueo.runs.current_inputs import data_inputs
from ueo.runs.status import run_to_status
from ueo.text import shown


def fetch_missing(settings: GridSettings, todo: list[PlannedRun]) -> None:
    """Fetch data and weights once, before runs start in parallel. Raise DataError for user images
    that no run could read."""
    check_writable(Path(settings.output), "--output")
    domains, names = _needed(todo)
    for kind, wanted in domains.items():
        ensure(kind, settings.root, wanted, settings.download)
    for run in todo:
        if getattr(DATASET_REGISTRY.get(run.config["DATASET.NAME"]), "own", False):
            data_inputs(build_cfg(run.settings))
            break  # all runs share one domain
    for name in names:
        backbones.fetch(name)


def say_missing(settings: GridSettings, todo: list[PlannedRun]) -> None:
    """Print a line per data set and backbone that `fetch_missing` would fetch."""
    domains, names = _needed(todo)
    for kind, wanted in domains.items():
        if not getattr(kind, "own", False) and (why := absent(kind, settings.root, wanted)):
            print(shown(f"note: data {why}"))
    for name in names:
        if why := backbones.absent(name):
            print(shown(f"note: weights of {name}: {why}"))


def _needed(todo: list[PlannedRun]) -> tuple[dict[type, set[str]], list[str]]:
    """Return ({data set class: domains}, backbones) of runs."""
    domains = {}
    for run in todo:
        domains.setdefault(DATASET_REGISTRY.get(run.config["DATASET.NAME"]), set()).update(
            [*run.config["DATASET.TARGET_DOMAINS"], *run.config.get("ONLINE.THEN", ())]
        )
    return domains, sorted({run.config["MODEL.BACKBONE.NAME"] for run in todo})


def execute(
    settings: GridSettings, todo: list[PlannedRun], entry: Callable[..., int] = run_to_status
) -> list[Failure]:
    """Fetch what is missing, run everything, and return the failures.

    entry: called with a run's settings in another process; returns an exit status.
    """
    if todo:
        fetch_missing(settings, todo)
    workers = gpus.worker_count(settings.jobs, settings.device)
    return parallel.execute(todo, entry, workers, PRELOAD, gpus.visible(settings.device))


def run_and_show(
    settings: GridSettings, runs: list[PlannedRun], show: Callable[[], list[Failure] | None]
) -> int:
    """Run the unfinished runs of this shard, then call `show`. Return 0 if done, 1 if some failed.

    show: writes and prints the results; may return further failures.
    """
    todo = waiting(settings, shard(named_apart(runs), settings.shard))
    if settings.dry_run:
        say_missing(settings, todo)
        return 0
    failures = execute(settings, todo)
    with failures_at_the_end(failures):
        failures += show() or []
    return 1 if failures else 0


def named_apart(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Return the runs; append its configuration to each label that several runs share."""
    labels = Counter(label for label, _ in {(run.label, run.folder) for run in runs})
    return [replace(run, label=f"{run.label} ({run.place.config})")
            if run.place and labels[run.label] > 1 else run for run in runs]


@contextmanager
def failures_at_the_end(failures: list[Failure]) -> Iterator[None]:
    """Print one line per failure after the block, even if the block raises."""
    try:
        yield
    finally:
        for failure in failures:
            print(shown(f"FAILED {failure.run.label}: {failure.message}"), file=sys.stderr)
