"""UEO's parts, one changed at a time, with intervals; and whether its weighting matters.

    bash scripts/ablations.sh emoji [--only uniform oracle]

Runs are those of a grid with the options of VARIATIONS in ueo/studies/ablations.py; what is
finished is not run again. The table's files are OUTPUT/<dataset>/table-ablations-<configuration>.
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
                   help=f"of {', '.join(ablations.VARIATIONS)}; all but {ablations.VIT_ALONE}, "
                   "which needs a ViT, unless given")
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
    settings, only = arguments.grid_settings(args), tuple(args.only)
    if settings.trainers != GridSettings().trainers:
        raise ConfigError("--trainers: ablations are of UEO, beside zero-shot CLIP; leave it out")
    dataset = arguments.one_dataset(settings)
    by_name = ablations.plans(settings, dataset, only)
    runs = [run for plan in by_name.values() for run in plan]
    return run_and_show(
        settings, runs, lambda: ablations.show(settings, dataset, by_name, only)
    )
