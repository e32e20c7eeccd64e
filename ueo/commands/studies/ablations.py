"""Ablate UEO: change one part at a time, with intervals, and test whether its weighting matters.

    bash scripts/ablations.sh emoji [--only uniform oracle]

The runs are those of a grid with the options of VARIATIONS in ueo/studies/ablations.py; finished
runs are skipped. The tables go to OUTPUT/<dataset>/table-ablations-<configuration>.
"""

import argparse

from ueo.commands import arguments
from ueo.errors import ConfigError
from ueo.grids.execute import run_and_show
from ueo.grids.grid_settings import GridSettings
from ueo.runs.status import command
from ueo.studies import ablations


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    p.add_argument("--only", nargs="+", default=[],
                   help=f"variations among {', '.join(ablations.VARIATIONS)} (default: all but "
                   f"{ablations.VIT_ALONE}, which needs a ViT)")
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed."""
    settings, only = arguments.grid_settings(args), tuple(args.only)
    if settings.trainers != GridSettings().trainers:
        raise ConfigError("--trainers: ablations compare UEO with zero-shot CLIP; leave it out")
    dataset = arguments.one_dataset(settings)
    by_name = ablations.plans(settings, dataset, only)
    runs = [run for plan in by_name.values() for run in plan]
    return run_and_show(
        settings, runs, lambda: ablations.show(settings, dataset, by_name, only)
    )
