"""Compare OOD scores after fine-tuning: methods x shots x scores x seeds, with intervals.

    bash scripts/ood_study/main.sh emoji [--shots 1 2 4 8 16] [--shift]

The runs are those of a grid that keep their outputs, so another score needs no new run. With
--shift, a model adapted to one domain is also tested on the others. Results go to
OUTPUT/<dataset>/study-<configuration>.json and .md, with pictures.
"""

import argparse

from ueo.commands import arguments
from ueo.grids.execute import run_and_show
from ueo.runs.status import command
from ueo.settings.options import number
from ueo.studies import ood_runs


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    p.add_argument("--shots", nargs="+", type=number("--shots", low=1),
                   default=list(ood_runs.SHOTS), help="labelled images per class")
    p.add_argument("--shift", action="store_true", help="also test on the other domains")
    p.set_defaults(trainers=ood_runs.TRAINERS, setting=ood_runs.SETTING)
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed."""
    asked = arguments.grid_settings(args)
    dataset = arguments.one_dataset(asked)
    study = ood_runs.OODStudy(asked, dataset, tuple(args.shots), args.shift)
    arms = ood_runs.plans(study)
    runs = [run for plan in arms.values() for run in plan]
    return run_and_show(study.run_settings, runs, lambda: ood_runs.show(study, arms))
