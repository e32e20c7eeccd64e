"""Choose each method's learning rate on the tuning domain, by the same grid and rule for all.

    bash scripts/tune.sh emoji --trainers all [--rates 1e-3 3e-3 1e-2 3e-2]
    bash scripts/tune.sh emoji --trainers TipAdapter --key TRAINER.TipAdapter.ALPHA --values 1 3

The runs are those of a grid with `--set KEY <value>`; finished runs are skipped. Results go to
OUTPUT/<dataset>/tuning-<configuration>.json. The file name adds -<KEY> for another key, and any
selection of label spaces, seeds, methods or values. Copy the chosen values by hand into
configs/trainers/<METHOD>/<dataset>.yaml.
"""

import argparse

from ueo.commands import arguments
from ueo.grids.choices import ALL
from ueo.grids.execute import run_and_show
from ueo.runs.status import command
from ueo.studies import tuning


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    p.add_argument("--key", default=tuning.RATE, help="option to choose")
    p.add_argument("--values", "--rates", nargs="+", default=list(tuning.RATES), help="its values")
    p.set_defaults(trainers=[ALL], seed=list(tuning.SEEDS))
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 even if a run failed: divergence is a result."""
    settings = arguments.grid_settings(args)
    dataset = arguments.one_dataset(settings)
    settings = tuning.on_tuning_domain(settings, dataset)
    by_value = tuning.plans(settings, dataset, args.key, args.values)
    runs = [run for plan in by_value.values() for run in plan]
    run_and_show(settings, runs, lambda: tuning.report(settings, dataset, by_value, args.key))
    return 0
