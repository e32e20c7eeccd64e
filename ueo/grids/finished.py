"""Find the finished runs of a grid, and estimate the time of the others."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

from ueo.errors import DataError
from ueo.grids import gpus
from ueo.grids.choices import left_out
from ueo.grids.grid_settings import GridSettings, PlannedRun
from ueo.grids.parallel import clock, remove_consoles
from ueo.inputs import OF_DEVICE, Inputs
from ueo.names import enumeration
from ueo.results.check_outputs import check_outputs
from ueo.results.paper.scores import PICTURE
from ueo.results.record import RESULT, read_result, was_resumed
from ueo.runs.configure import build_cfg
from ueo.runs.current_inputs import data_inputs, method_inputs
from ueo.runs.folder import finished_result
from ueo.settings.known_keys import OWN
from ueo.text import shown

OF_PLACE = ("TRAINER.NAME", "DATASET.NAME", "DATASET.TARGET_DOMAINS", "DATASET.SETTING", "SEED")
DIFFERS = ("SEED", "DATASET.SETTING")  # may differ between runs with the same inputs
FEW = 40  # a dry run lists up to this many unfinished runs


def waiting(
    settings: GridSettings, runs: list[PlannedRun], elsewhere: bool = False
) -> list[PlannedRun]:
    """Return the unfinished runs; print a summary of them and the trainers that `all` leaves out.

    With tables_only return none: print how many runs have a record, and raise DataError if none
    has. elsewhere: the runs are for other machines, whose devices are unknown here.
    """
    for why, trainers in left_out(settings).items():
        print(f"Left out, {why}: {', '.join(trainers)}")
    if settings.tables_only:
        _say_records(settings, runs)
        return []
    finished = finished_runs(runs, settings.overwrite, elsewhere)
    todo = [run for run in runs if run not in finished]
    _announce(settings, runs, todo, finished)
    if not settings.dry_run:
        remove_consoles(run.folder for run in finished)
    return todo


def finished_runs(
    runs: list[PlannedRun], overwrite: bool, elsewhere: bool = False
) -> dict[PlannedRun, dict]:
    """Return {run: result} of the existing records. A record with another configuration or other
    inputs is an error, except for the device if `elsewhere`. A warning is printed if the images are
    missing, so that they cannot be compared.

    A record without its picture is of a run that was killed at the very end, and counts as
    unfinished; repeating the run only draws the picture.
    """
    found, inputs, unseen = {}, PlannedInputs(), defaultdict(list)
    for run in runs:
        if overwrite or not (run.folder / PICTURE).is_file():
            continue
        present, why = inputs.of(run)
        if present is None:
            unseen[why].append(run)
        elif elsewhere and (record := read_result(run.folder)):
            recorded = record["inputs"]
            present = {**present, **{k: recorded[k] for k in OF_DEVICE if k in recorded}}
        keep = [run.config.get(f"TEST.{key}", False) for key in OWN["TEST"]]
        result = finished_result(run.folder, run.config, present, "--output", *keep)
        if result is not None:
            found[run] = result
    for why, unknown in unseen.items():
        print(f"{len(unknown)} finished runs are not compared with their images: {why}")
    return found


class PlannedInputs:
    """The current inputs of planned runs (ueo/inputs.py). Those of a domain's images, and those of
    a method, are read once."""

    def __init__(self):
        self.known: dict[str, tuple[Inputs | None, str]] = {}

    def of(self, run: PlannedRun) -> tuple[Inputs | None, str]:
        """Return (inputs, ""), or (None, why) if the images are missing."""
        flat = {key: value for key, value in run.config.items() if key not in DIFFERS}
        of_data = {k: value for k, value in flat.items() if k.startswith(("DATASET.", "ONLINE."))}
        data, why = self._once(run, of_data, data_inputs)
        flat.pop("DATASET.TARGET_DOMAINS")
        method, _ = self._once(run, flat, method_inputs)
        return (None, why) if data is None else ({**data, **method}, "")

    def _once(self, run: PlannedRun, part: dict, read: Callable) -> tuple[Inputs | None, str]:
        key = json.dumps([read.__name__, part, run.settings.root])
        if key not in self.known:
            try:
                self.known[key] = read(build_cfg(run.settings)), ""
            except DataError as error:
                self.known[key] = None, str(error)
        return self.known[key]


def estimate(
    todo: list[PlannedRun], finished: dict[PlannedRun, dict], workers: int
) -> tuple[float, int]:
    """Return (seconds for `todo`, number of its runs without an estimate).

    A run takes as long as the finished runs of its method on its domain, or on other domains if
    there are none. Resumed runs do not count, nor runs during which the clock was set back.

    finished: {run: result}.
    """
    by_domain, by_method = defaultdict(list), defaultdict(list)
    for run, result in finished.items():
        if (wall := result["wall_seconds"]) > 0 and not was_resumed(result):
            by_domain[run.place.method, run.place.domain].append(wall)
            by_method[run.place.method].append(wall)
    seconds, unknown = 0.0, 0
    for run in todo:
        place = run.place
        known = by_domain.get((place.method, place.domain)) or by_method.get(place.method)
        seconds += sum(known) / len(known) if known else 0
        unknown += not known
    return seconds / workers, unknown


def _say_records(settings: GridSettings, runs: list[PlannedRun]) -> None:
    """Print how many runs have a record, and which have none. Check each record against its
    outputs. For a trainer without any record, print which other configurations have some."""
    without, silent = [], dict.fromkeys((run.place.dataset, run.place.trainer) for run in runs)
    for run in runs:
        result = read_result(run.folder)
        if result is None:
            without.append(run.label)
        else:
            _check_place(run, result["config"])
            check_outputs(run.folder, result)
            silent.pop((run.place.dataset, run.place.trainer), None)
    print(f"{len(runs)} runs, {len(runs) - len(without)} with a record, {len(without)} without")
    for dataset, trainer in silent:
        folder = Path(settings.output, dataset, trainer)
        found = folder.glob(f"*/*/*/*/{RESULT}")
        if others := sorted({path.relative_to(folder).parts[0] for path in found}):
            print(shown(f"{trainer} {dataset}: has no record with these options, only with "
                        f"{enumeration(others)}; --tables-only needs the --set, --recipe, "
                        "--protocol and --backbone of the runs"))
    if len(without) == len(runs):
        raise DataError(
            f"--tables-only: no run has a record below {settings.output}, so there is no table to "
            "make; name their folder with --output, or leave out --tables-only"
        )
    if without:
        print(f"Without a record: {enumeration(without)}")


def _check_place(run: PlannedRun, recorded: dict) -> None:
    """Raise DataError for a record of another run, as in a copied or renamed folder: it would count
    as the wrong run, or twice."""
    for key in OF_PLACE:
        found, asked = recorded.get(key), run.config[key]
        if found != asked:
            raise DataError(
                f"{run.folder / RESULT}: is of another run ({key} is {found!r}, but the folder is "
                f"for {asked!r}); the folder was copied or renamed, put it where it belongs"
            )


def _announce(
    settings: GridSettings, runs: list[PlannedRun], todo: list[PlannedRun],
    finished: dict[PlannedRun, dict],
) -> None:
    """Print what is to do and the estimated time; a dry run also prints a table and run names."""
    workers = gpus.worker_count(settings.jobs, settings.device)
    seconds, unknown = estimate(todo, finished, workers)
    time = "" if unknown == len(todo) else f", about {clock(seconds)}"
    rest = f" without {unknown} that have no estimate" if time and unknown else ""
    print(f"{len(runs)} runs, {len(runs) - len(todo)} finished, {len(todo)} to do, "
          f"{min(workers, max(len(todo), 1))} at once{time}{rest}")
    if not settings.dry_run:
        return
    total = Counter(run.place.method for run in runs)
    left = Counter(run.place.method for run in todo)
    table = [[*name, total[name], total[name] - left[name], left[name]] for name in total]
    print(tabulate(table, ["data set", "trainer", "configuration", "runs", "finished", "to do"]))
    if len(todo) <= FEW:
        print("\n".join(run.label for run in todo))
