"""Streams compared: every online method in one stream, in batches of several sizes and in orders.

    bash scripts/online.sh emoji_shift [--trainers ZeroshotCLIP UEO TDA] [options as in tables.sh]

docs/online.md is the protocol, of emoji_shift; what is asked for takes the place of what it fixes.
Results: OUTPUT/<dataset>/online.json, online.md and a figure each of batches and of orders; the
names of other files say what was selected.
"""

import argparse

from ueo.commands import arguments
from ueo.grids.execute import run_and_show
from ueo.runs.configure import register
from ueo.runs.status import command
from ueo.settings.known_keys import ONLINE
from ueo.studies.online import report
from ueo.studies.online.runs import planned


def parser() -> argparse.ArgumentParser:
    p = arguments.parser(__doc__.splitlines()[0])
    p.set_defaults(trainers=["all"], protocol=ONLINE)
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """0 done, 1 some runs failed."""
    settings = arguments.grid_settings(args)
    register(settings.plugin)
    runs = planned(settings)
    every = [run for of_stream in runs.values() for part in of_stream.values() for run in part]
    return run_and_show(settings, every, lambda: report.write(settings, runs))
