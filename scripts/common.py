"""What the commands in this folder share: how they end, and how they run a plan."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: many runs share the cores

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from ueo.grids import fork_server  # noqa: E402

PRELOAD = ["train", "sklearn.metrics", "ueo.grids.warm"]
GRIDS = {"grid.py", "tune.py", "ablations.py", "ood_study.py", "robust.py"}  # with many runs
RUNS_NOTHING = {"--dry-run", "--tables-only", "--help", "-h"}

command = Path(sys.argv[0])  # of a test, its own
called = command.name in GRIDS and command.parent.resolve() == Path(__file__).resolve().parent
inside = "__mp_main__" in sys.modules  # a run: it imports the command that started it
if called and not inside and not RUNS_NOTHING & set(sys.argv):
    fork_server.start(PRELOAD)  # its imports take as long as this process's own

import argparse  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402

import fetch  # noqa: E402
import planning  # noqa: E402
from tabulate import tabulate  # noqa: E402

import train  # noqa: E402
from ueo.clip import backbones  # noqa: E402
from ueo.errors import DataError  # noqa: E402
from ueo.files import check_writable  # noqa: E402
from ueo.grids import gpus, parallel  # noqa: E402
from ueo.names import enumeration  # noqa: E402
from ueo.results.check_outputs import check_outputs  # noqa: E402
from ueo.results.plots import PICTURE  # noqa: E402
from ueo.results.record import read_result  # noqa: E402
from ueo.runs.folder import finished_result  # noqa: E402
from ueo.text import shown  # noqa: E402

FEW = 40  # runs to do that a dry run names one by one


def guarded(work: Callable[[], int]) -> int:
    """Exit status of `work`; 2 and one line for a user's mistake, 130 when interrupted."""
    try:
        return work()
    except train.MISTAKES as error:
        print(f"Error: {train.one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def waiting(args: argparse.Namespace, runs: list[parallel.Run]) -> list[parallel.Run]:
    """The runs that are not finished, announced. With --tables-only none: how many have a record is
    said, and DataError raised where no one has."""
    finished = finished_runs(runs, args.overwrite, compare=not args.tables_only)
    if args.tables_only:
        say_records(args, runs)
        return []
    todo = [run for run in runs if run.folder not in finished]
    announce(args, runs, todo, finished, gpus.worker_count(args.jobs, args.device))
    if not args.dry_run:
        parallel.remove_consoles(finished)
    return todo


def say_records(args: argparse.Namespace, runs: list[parallel.Run]) -> None:
    """How many runs have a record, and which have none; each record must follow from its outputs.
    """
    without = []
    for run in runs:
        result = read_result(run.folder)
        if result is None:
            without.append(run.label)
        else:
            check_outputs(run.folder, result)
    print(f"{len(runs)} runs, {len(runs) - len(without)} with a record, {len(without)} without")
    if len(without) == len(runs):
        raise DataError(
            f"--tables-only: no run has a record below {args.output}, there is no table to make; "
            "name their folder with --output, or leave --tables-only away"
        )
    if without:
        print(f"Without a record: {enumeration(without)}")


def finished_runs(
    runs: list[parallel.Run], overwrite: bool, compare: bool = True
) -> dict[Path, dict]:
    """{folder: result} of the records that are there. One of another configuration is an error, and
    with `compare` one of other inputs; where the images are not there to be compared, that is said.

    Without its picture a run was killed at the very end; running it again draws that alone.
    """
    found, inputs, unseen = {}, planning.PlannedInputs(), {}
    for run in runs:
        if not overwrite and (run.folder / PICTURE).is_file():
            present = None
            if compare:
                present, why = inputs.of(run)
                if present is None:
                    unseen.setdefault(why, []).append(run)
            keep = "TEST.KEEP_OUTPUTS" in run.argv
            result = finished_result(run.folder, run.config, present, "--output", keep)
            if result is not None:
                found[run.folder] = result
    for why, unknown in unseen.items():
        print(f"{len(unknown)} finished runs are not compared with their images: {why}")
    return found


def announce(args, runs, todo: list[parallel.Run], finished: dict, workers: int) -> None:
    """What is to do and how long it may take; for a dry run also where."""
    seconds, unknown = parallel.estimate(todo, finished, workers)
    time = "" if unknown == len(todo) else f", about {parallel.clock(seconds)}"
    rest = f" without {unknown} that no finished run tells about" if time and unknown else ""
    print(f"{len(runs)} runs, {len(runs) - len(todo)} finished, {len(todo)} to do, "
          f"{min(workers, max(len(todo), 1))} at once{time}{rest}")
    if not args.dry_run:
        return
    left = {run.folder for run in todo}
    rows = {}
    for run in runs:
        config, trainer, dataset = (run.folder.parents[i].name for i in (2, 3, 4))
        row = rows.setdefault((dataset, trainer, config), [0, 0])
        row[0] += 1
        row[1] += run.folder not in left
    table = [[*name, total, done, total - done] for name, (total, done) in rows.items()]
    print(tabulate(table, ["data set", "trainer", "configuration", "runs", "finished", "to do"]))
    if len(todo) <= FEW:
        print("\n".join(run.label for run in todo))


def fetch_missing(args: argparse.Namespace, todo: list[parallel.Run]) -> None:
    """Data and weights, once, before runs start in parallel."""
    check_writable(Path(args.output))
    domains, backbone_names = {}, set()
    for run in todo:
        domains.setdefault(run.config["DATASET.NAME"], set()).update(
            run.config["DATASET.TARGET_DOMAINS"]
        )
        backbone_names.add(run.config["MODEL.BACKBONE.NAME"])
    for name, wanted in domains.items():
        fetch.ensure(train.DATASET_REGISTRY.get(name), args.root, wanted, args.download)
    for name in sorted(backbone_names):
        backbones.fetch(name)


def execute(
    args: argparse.Namespace, todo: list[parallel.Run], entry: Callable[[list[str]], int] = train.main
) -> list[parallel.Failure]:
    """Fetch what is missing, then run everything by `entry`, the main of a command."""
    if todo:
        fetch_missing(args, todo)
    workers = gpus.worker_count(args.jobs, args.device)
    return parallel.execute(todo, entry, workers, PRELOAD, gpus.visible(args.device))


def execute_left(
    args: argparse.Namespace, tests: dict[parallel.Run, list[Path]]
) -> list[parallel.Failure]:
    """Run those evaluations of planning.tested_elsewhere whose run is finished and of which a
    record is missing, or is of other weights or images than there are now. With --tables-only none
    is run, and a record of other weights is an error."""
    import wise_ft

    known: dict = {}
    ready = [test for test in tests if read_result(test.folder.parent) is not None]
    if args.tables_only:
        for test in ready:
            wise_ft.refuse_other_weights(test, tests[test])
        return []
    todo = [test for test in ready
            if args.overwrite or not wise_ft.up_to_date(test, tests[test], known)]
    parallel.remove_consoles(test.folder for test in tests if test not in todo)
    return execute(args, todo, wise_ft.main) if todo else []


@contextmanager
def failures_at_the_end(failures: list[parallel.Failure]) -> Iterator[None]:
    """One line each after the block, also where that ends in an error."""
    try:
        yield
    finally:
        for failure in failures:
            print(shown(f"FAILED {failure.run.label}: {failure.message}"), file=sys.stderr)
