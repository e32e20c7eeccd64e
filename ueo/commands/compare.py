"""Compare all methods on data sets: the tables of a grid, then one table of all methods by group.

    bash scripts/compare.sh office_home [options as in scripts/ueo/main.sh]

The last table goes to OUTPUT/<dataset>/comparison-....json and .md.
"""

import argparse
from pathlib import Path

from dassl.engine import TRAINER_REGISTRY

from ueo.commands import arguments, grid
from ueo.files import read_json
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.run_grid import plan_all, table_stem
from ueo.results.paper import comparison
from ueo.results.record import labelled, read_result
from ueo.runs.folder import takes_no_step
from ueo.runs.status import command


def parser() -> argparse.ArgumentParser:
    p = grid.parser()
    p.description = __doc__.splitlines()[0]
    p.set_defaults(datasets=list(GridSettings().datasets), trainers=["all"])
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed or differ."""
    settings = arguments.grid_settings(args)
    plans = plan_all(settings)
    status = grid.run_planned(args, settings, plans)
    if not (settings.dry_run or args.slurm):
        for runs in plans.values():
            _show(settings, runs)
    return status


def _show(settings: GridSettings, runs: list[PlannedRun]) -> None:
    entries = [(r.folder, result) for r in runs if (result := read_result(r.folder))]
    entries = [entry for entry in entries if labelled(entry[1])]
    if not entries:
        return
    folder = Path(settings.output, runs[0].place.dataset)
    stem = table_stem(settings, runs)
    summary = read_json(folder / f"{stem}.json", dict, "run it again")  # written by the grid
    groups = {method: _group(method) for method in summary["methods"]}
    stem = stem.replace("table-", "comparison-", 1)
    rows = comparison.compare(summary, entries, groups)
    text = comparison.write(folder, stem, rows, summary["base"], summary["uneven"])
    print(f"\n{text}")
    print(f"Comparison: {folder / stem}.{{json,md}}")


def _group(method: str) -> str:
    kind = TRAINER_REGISTRY.get(method)
    if method == ZERO_SHOT:
        return comparison.ZERO_SHOT
    if getattr(kind, "uses_labels", True):  # a plug-in without it counts as few-shot
        return comparison.FEW_SHOT
    return comparison.TRANSDUCTIVE if takes_no_step(method) else comparison.TUNED
