"""Compare the online methods on streams: one stream, several batch sizes, several orders.

    bash scripts/online.sh emoji_shift [--trainers ZeroshotCLIP UEO TDA] [options as in tables.sh]

docs/online.md describes the protocol on emoji_shift; options override what it fixes. Results go to
OUTPUT/<dataset>/online.json and online.md, with one figure of batch sizes and one of orders; with a
selection, the file names contain it.
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
    """Return 0 when done, 1 if some runs failed."""
    settings = arguments.grid_settings(args)
    register(settings.plugin)
    runs = planned(settings)
    every = [run for of_stream in runs.values() for part in of_stream.values() for run in part]
    return run_and_show(settings, every, lambda: report.write(settings, runs))
