"""What fine-tuning with labels costs elsewhere: other domains, unseen classes, OOD detection.

    bash scripts/robust/main.sh emoji [--shots 16] [--captions FILE] [--pool PATH]

ueo/studies/robust_runs.py says what is run and tested. Results are
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
        help="labelled images a class; 0: all")
    add("--captions", default="", help="JSON lines of images and captions; embedded on emoji, "
        "under shift, too")
    add("--pool", default="", help="folder or tar of image-text pairs; embedded on emoji, under "
        "shift, too")
    p.set_defaults(trainers=robust_runs.TRAINERS)
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
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
