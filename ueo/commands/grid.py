"""Data sets x trainers x label spaces x domains x seeds, then the tables.

Where no data set is named, that is the demonstration: emoji in scenes. Called by
scripts/<method>/main.sh and scripts/tables.sh. Runs go to
OUTPUT/<dataset>/<trainer>/<config>/<setting>/<domain>/seed<N>; finished ones are skipped.
"""

import argparse
from dataclasses import replace

from ueo.commands import arguments
from ueo.errors import ConfigError
from ueo.grids import slurm
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.run_grid import plan_all, run_grid
from ueo.runs.status import command
from ueo.settings.options import number
from ueo.studies import thresholds

# docs/bench.md: UEO without its weights, and without its weights and its marginal term
DEMONSTRATED = GridSettings(datasets=("emoji_shift",), domain=("fluent+scene2",),
                            trainers=(ZERO_SHOT, "InfoMax", "EntMin"))
MOST_SHARDS = 10_000  # jobs that one command submits


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    add = p.add_argument
    p.set_defaults(datasets=[])
    add("--reference", default="", metavar="CSV", help="published numbers to show in the tables")
    add("--expect", default="", metavar="CSV", help="numbers to compare with; differences fail")
    add("--thresholds", action="store_true",
        help="a table of thresholds chosen without labels too (docs/thresholds.md)")
    add("--slurm", type=number("--slurm", low=1, high=MOST_SHARDS), default=0, metavar="N",
        help="submit N shards to Slurm and stop")
    add("--slurm-set", nargs="+", default=[], metavar="KEY VALUE", help="submitit's parameters")
    add("--slurm-cluster", default="slurm", choices=("slurm", "local"),
        help="local: processes here")
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed or differ."""
    settings = _demonstrated(arguments.grid_settings(args))
    return run_planned(args, settings, plan_all(settings))


def run_planned(
    args: argparse.Namespace, settings: GridSettings, plans: dict[str, list[PlannedRun]]
) -> int:
    """As `run`. settings: those of the arguments; plans: what they plan."""
    jobs, usual = None, parser().parse_args([])
    if not args.slurm and (args.slurm_set or args.slurm_cluster != usual.slurm_cluster):
        raise ConfigError("--slurm-set and --slurm-cluster go with --slurm N, a number of jobs")
    if args.slurm:
        words = slurm.words_of(args, usual)
        jobs = slurm.Jobs(args.slurm, args.slurm_cluster, slurm.parameters(args.slurm_set), words)
    status = run_grid(settings, plans, args.reference, args.expect, jobs)
    if args.thresholds and not (settings.dry_run or jobs):
        for runs in plans.values():
            print(f"\n{thresholds.tables(run.folder for run in runs)}")
    return status


def _demonstrated(settings: GridSettings) -> GridSettings:
    """The settings, or where they name no data set those of the demonstration."""
    if settings.datasets:
        return settings
    shown = DEMONSTRATED
    return replace(settings, datasets=shown.datasets, domain=settings.domain or shown.domain,
                   trainers=tuple(dict.fromkeys((*shown.trainers, *settings.trainers))))
