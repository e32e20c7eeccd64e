"""A whole grid: plan it, run what is unfinished, and make the tables."""

import sys
from pathlib import Path

from ueo.files import exclusive
from ueo.grids import slurm
from ueo.grids.choices import ALL, dataset_names, trainer_names
from ueo.grids.execute import execute, failures_at_the_end, fetch_missing, say_missing
from ueo.grids.finished import waiting
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun, shard
from ueo.grids.plan import check_taken, plan
from ueo.images.hashes import store_folder
from ueo.inference.outcome import outcome
from ueo.results import reference, render, report, tables
from ueo.results.predictions import PREDICTIONS
from ueo.results.record import MODEL_FACTS, labelled, read_result
from ueo.runs.configure import build_cfg, register
from ueo.text import file_name, shown


def plan_all(settings: GridSettings) -> dict[str, list[PlannedRun]]:
    """Return {data set: its runs}. Raise ConfigError for a wrong name."""
    register(settings.plugin)
    plans = {name: plan(settings, name) for name in dataset_names(settings.datasets)}
    check_taken(settings.options, trainer_names(settings))
    return plans


def run_grid(
    settings: GridSettings, plans: dict[str, list[PlannedRun]], published: str = "",
    expected: str = "", jobs: slurm.Jobs | None = None,
) -> int:
    """Run a grid. Return 0 when done, 1 if some runs failed or differ.

    plans: from `plan_all`. published: CSV file of numbers to show in the tables; expected: CSV file
    of numbers that ours must equal; "" for none. jobs: submit these to Slurm instead.
    """
    for path in filter(None, (published, expected)):
        reference.read_reference(path)  # report its errors before hours of runs
    runs = shard([run for of_dataset in plans.values() for run in of_dataset], settings.shard)
    elsewhere = bool(jobs) and jobs.cluster == "slurm" and settings.device != "cpu"
    todo = waiting(settings, runs, elsewhere)
    if settings.dry_run:
        say_missing(settings, todo)
        return 0
    if jobs:
        if todo:
            fetch_missing(settings, todo)
        slurm.submit(jobs, settings)
        return 0
    failures = execute(settings, todo)
    with failures_at_the_end(failures):
        differences = show(settings, plans, published, expected)
    for difference in differences:
        print(f"DIFFERENT {shown(difference)}", file=sys.stderr)
    return 1 if failures or differences else 0


def show(
    settings: GridSettings, plans: dict[str, list[PlannedRun]], published: str = "",
    expected: str = "",
) -> list[str]:
    """Write and print the tables of the finished runs, and the outcome of runs on user images;
    return the differences from `expected`. There is no table without labels.

    A lock lets one shard at a time do this, so the last one reads all results.
    """
    beside = reference.read_reference(published) if published else None
    summaries = []
    with exclusive(Path(settings.output, ".tables.lock")):
        for runs in plans.values():
            entries = [(r.folder, result) for r in runs if (result := read_result(r.folder))]
            if not entries:
                print(f"\nNo table of {shown(runs[0].place.dataset)}: no run is finished")
                continue
            if any(labelled(result) for _, result in entries):
                summaries.append(_table(settings, runs, entries, beside))
            for folder in of_own_images(entries):
                if not (folder / PREDICTIONS).is_file():
                    print(f"\nNo summary of {shown(folder)}: its {PREDICTIONS} is gone; "
                          "--overwrite makes it again")
                    continue
                print(f"\n{outcome(folder, store_folder(build_cfg(runs[0].settings)))}")
        if len(summaries) > 1:
            print(f"\n{render.overview(summaries)}")
    if not expected:
        return []
    differences = reference.compare(summaries, reference.read_reference(expected), expected)
    print(f"\n{expected}: {len(differences)} differences")
    return differences


def _table(
    settings: GridSettings, runs: list[PlannedRun], entries: list[tuple[Path, dict]],
    beside: list[reference.Row] | None,
) -> dict:
    """Write and print the table of one data set's records; return its summary."""
    there = {folder for folder, _ in entries}
    without = [(r.settings.trainer, *r.cell) for r in runs if r.folder not in there]
    summary = tables.summarise(entries, trainer_names(settings)[0], without)
    folder, stem = Path(settings.output, runs[0].place.dataset), table_stem(settings, runs)
    written = report.write(folder, stem, summary, beside)
    pictures = report.draw(folder, stem, summary)
    print(f"\n{report.console(summary, beside)}\n")
    suffixes = ",".join(path.suffix[1:] for path in written)
    print(f"Tables:   {folder / stem}.{{{suffixes}}}")
    print(f"Records:  {folder}/<trainer>/<config>/<setting>/<domain>/seed<N>/result.json")
    print("Pictures: scores.png beside each record")
    for path in pictures:
        print(f"          {path}")
    if pictures:
        print("          and each as .pdf")
    return summary


def of_own_images(entries: list[tuple[Path, dict]]) -> list[Path]:
    """Return the folders of the runs that adapted a model to user images. Return those of zero-shot
    CLIP, the baseline of their predictions, only if there are no others."""
    own = [(folder, result["trainer"]) for folder, result in entries
           if (folder / PREDICTIONS).is_file() or _lost_predictions(folder, result)]
    adapted = [folder for folder, trainer in own if trainer != ZERO_SHOT]
    return adapted or [folder for folder, _ in own]


def _lost_predictions(folder: Path, result: dict) -> bool:
    """Whether a run on user images, by a trainer that writes predictions, has none any more."""
    return bool(result["config"].get("DATASET.PATH")) and (folder / MODEL_FACTS).is_file()


def table_stem(settings: GridSettings, runs: list[PlannedRun]) -> str:
    """Return the file name of the table: methods, the base of the gains unless it is zero-shot
    CLIP, configuration and selection. So no table overwrites another."""
    base, *others = trainer_names(settings)
    parts = ["table", *([ALL] if ALL in settings.trainers else others or [base])]
    if base != ZERO_SHOT:
        parts += ["over", base] if others else ["alone"]
    return file_name("-".join([*parts, runs[0].grid, *selection(settings, runs)]))


def selection(
    settings: GridSettings, runs: list[PlannedRun], usual: GridSettings | None = None
) -> list[str]:
    """Return the parts of a file name for a selection of domains, label spaces or seeds, and for
    user images. usual: settings without a selection; by default those of GridSettings."""
    whole = usual or GridSettings()
    asked = {key: "+".join(map(str, getattr(settings, key)))
             for key in ("domain", "setting", "seed")
             if getattr(settings, key) != getattr(whole, key)}
    if settings.path:
        asked["domain"] = runs[0].settings.domain[0]
    if "seed" in asked:
        asked["seed"] = f"seed{asked['seed']}"
    return list(asked.values())
