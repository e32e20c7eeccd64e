"""Measure what fine-tuning with labels costs on other domains, unseen classes and OOD detection.

    bash scripts/robust/main.sh emoji [--shots 16] [--captions FILE] [--pool PATH]

ueo/studies/robust_runs.py describes the runs and the tests. Results go to
OUTPUT/<dataset>/robust-<configuration>.json and .md.
"""

import argparse

from ueo.commands import arguments
from ueo.grids.execute import run_and_show
from ueo.runs.status import command
from ueo.settings.options import number
from ueo.studies import robust_runs


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    add = p.add_argument
    add("--shots", type=number("--shots", low=0), default=robust_runs.SHOTS,
        help="labelled images per class; 0: all")
    add("--captions", default="",
        help="JSON lines of images and captions (emoji and emoji_shift have their own)")
    add("--pool", default="",
        help="folder or tar of image-text pairs (emoji and emoji_shift have their own)")
    p.set_defaults(trainers=robust_runs.TRAINERS)
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 when done, 1 if some runs failed."""
    asked = arguments.grid_settings(args)
    dataset = arguments.one_dataset(asked)
    usual = "embedded" if dataset in ("emoji", "emoji_shift") else ""
    study = robust_runs.RobustStudy(
        asked, dataset, args.shots, args.captions or usual, args.pool or usual
    )
    zero, methods = robust_runs.plans(study)
    runs = robust_runs.all_runs(zero, methods)
    return run_and_show(
        study.run_settings, runs, lambda: robust_runs.show(study, zero, methods)
    )
