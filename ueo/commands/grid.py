"""Run data sets x trainers x label spaces x domains x seeds, then make the tables.

Without a data set, run the demonstration: emoji in scenes. scripts/<method>/main.sh and
scripts/tables.sh call this. Runs go to
OUTPUT/<dataset>/<trainer>/<config>/<setting>/<domain>/seed<N>; finished runs are skipped.
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

# InfoMax is UEO without its weights; EntMin also lacks the marginal term (docs/bench.md)
DEMONSTRATED = GridSettings(datasets=("emoji_shift",), domain=("fluent+scene2",),
                            trainers=(ZERO_SHOT, "InfoMax", "EntMin"))
MOST_SHARDS = 10_000  # jobs that one command submits


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    add = p.add_argument
    p.set_defaults(datasets=[])
    add("--reference", default="", metavar="CSV", help="published numbers for the tables")
    add("--expect", default="", metavar="CSV",
        help="expected numbers; the command fails on differences")
    add("--thresholds", action="store_true",
        help="also print a table of thresholds chosen without labels (docs/thresholds.md)")
    add("--slurm", type=number("--slurm", low=1, high=MOST_SHARDS), default=0, metavar="N",
        help="submit N jobs to Slurm, one shard each, and stop")
    add("--slurm-set", nargs="+", default=[], metavar="KEY VALUE", help="parameters for submitit")
    add("--slurm-cluster", default="slurm", choices=("slurm", "local"),
        help="local: run the jobs as processes on this machine")
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed or differ."""
    settings = _demonstrated(arguments.grid_settings(args))
    return run_planned(args, settings, plan_all(settings))


def run_planned(
    args: argparse.Namespace, settings: GridSettings, plans: dict[str, list[PlannedRun]]
) -> int:
    """Run the plans of these settings, or submit them; return the exit status like `main`."""
    jobs, usual = None, parser().parse_args([])
    if not args.slurm and (args.slurm_set or args.slurm_cluster != usual.slurm_cluster):
        raise ConfigError("--slurm-set and --slurm-cluster need --slurm N, the number of jobs")
    if args.slurm:
        words = slurm.words_of(args, usual)
        jobs = slurm.Jobs(args.slurm, args.slurm_cluster, slurm.parameters(args.slurm_set), words)
    status = run_grid(settings, plans, args.reference, args.expect, jobs)
    if args.thresholds and not (settings.dry_run or jobs):
        for runs in plans.values():
            print(f"\n{thresholds.tables(run.folder for run in runs)}")
    return status


def _demonstrated(settings: GridSettings) -> GridSettings:
    """Return the settings; without a data set, fill in those of the demonstration."""
    if settings.datasets:
        return settings
    shown = DEMONSTRATED
    return replace(settings, datasets=shown.datasets, domain=settings.domain or shown.domain,
                   trainers=tuple(dict.fromkeys((*shown.trainers, *settings.trainers))))
