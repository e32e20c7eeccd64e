"""Run the bench: every method on shifted and clean styles, with one or several tiny CLIP models.

    bash scripts/bench.sh [--models TinyCLIP TinyViT models/resnet_left_out_2.safetensors ...]

docs/bench.md describes the protocol. The tuning runs, which choose the learning rates, come first,
then the reported runs; finished runs are skipped. Results go to bench-all.json, .md and .tex in
OUTPUT/emoji_shift; with a selection of methods or models, the file names contain it.
"""

import argparse

from ueo.clip.backbones import available_backbones
from ueo.commands import arguments
from ueo.errors import ConfigError
from ueo.grids.choices import trainer_names
from ueo.grids.execute import run_and_show
from ueo.grids.grid_settings import GridSettings
from ueo.grids.parallel import Failure
from ueo.runs.configure import register
from ueo.runs.status import command
from ueo.studies.bench import judgement, report
from ueo.studies.bench.protocol import DATASET, SHIPPED
from ueo.studies.bench.runs import choices, reported, trials

FIXED = ("domain", "seed", "backbone", "shard", "overwrite")  # by the protocol, or unsupported


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    here = [name for name in SHIPPED.values() if name in available_backbones()]
    p.add_argument("--models", nargs="+", default=here,
                   help="names of shipped models, or files that pretrain.py wrote")
    p.add_argument("--judge", metavar="METHOD", default="",
                   help="compare this method with every other, also by its OOD score; seed 1")
    p.set_defaults(datasets=[DATASET], trainers=["all"])
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed."""
    settings, models = arguments.grid_settings(args), tuple(dict.fromkeys(args.models))
    _check(settings)
    register(settings.plugin)
    if args.judge:
        judgement.check(args.judge, trainer_names(settings))
    made = trials(settings, models)
    tuning = [run for _, by_value in made.values() for runs in by_value.values() for run in runs]
    run_and_show(settings, tuning, lambda: None)  # divergence at a rate is no failure
    chosen = choices(made)
    plans = reported(settings, models, chosen)
    runs = [run for of_method in plans.values() for run in of_method]

    def show() -> list[Failure]:
        report.write(settings, models, chosen, plans)
        if not args.judge:
            return []
        rescored, failures = judgement.rescore(settings, models, chosen, plans, args.judge)
        found = judgement.judged(plans, rescored, args.judge)
        report.write_judgement(settings, models, found)
        return failures

    return run_and_show(settings, runs, show)


def _check(settings: GridSettings) -> None:
    if settings.datasets != (DATASET,):
        raise ConfigError(f"{settings.datasets[0]}: the bench is on {DATASET}; name no data set")
    for name in FIXED:
        if getattr(settings, name) != getattr(GridSettings(), name):
            raise ConfigError(f"--{name}: the bench's protocol fixes it; use scripts/tables.sh")
