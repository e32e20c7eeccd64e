"""Check this machine: what is missing, whether short runs agree, how long the benchmark takes.

    bash scripts/doctor.sh [--root data] [--output output] [--backbone RN50] [--json FILE]

Each finding is printed as one line: ok; note, if something is absent that can be fetched or is
optional; or WRONG, with what to do.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import torch

from ueo.clip.backbones import check_name
from ueo.commands import HelpFormatter
from ueo.commands.train import as_settings, defaults_of
from ueo.files import write_json
from ueo.grids.choices import BENCHMARK
from ueo.machine.examine import Examination, examine
from ueo.machine.findings import WRONG
from ueo.results.record import environment
from ueo.runs.status import command
from ueo.settings.options import folder, number


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    add = p.add_argument
    add("--root", type=folder("--root"), help="data root: folder of the data sets")
    add("--output", type=folder("--output"), help="folder of all results")
    add("--backbone", help="backbone whose training step is timed: OpenAI's with random weights, "
        "any other with its own weights, which are fetched")
    add("--datasets", nargs="+", choices=BENCHMARK, help="data sets to look for and to estimate")
    add("--pixels", type=number("--pixels", low=16, high=10_000),
        help="side of the JPEGs whose decoding is timed")
    add("--epochs", type=number("--epochs", low=1, high=100), help="epochs of the short runs")
    add("--json", metavar="FILE", help="also write the findings to this file")
    p.set_defaults(**defaults_of(Examination))
    return p


@command(parser)
def main(args: argparse.Namespace) -> int:
    """Return 0 if everything works, 1 if something does not."""
    check_name(args.backbone)
    findings = []
    for finding in examine(as_settings(Examination, args)):
        print(finding.line(), flush=True)
        findings.append(finding)
    wrong = sum(finding.state == WRONG for finding in findings)
    print(f"\n{wrong or 'nothing'} wrong")
    if args.json:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        write_json(Path(args.json), {"environment": environment(device),
                                     "findings": list(map(asdict, findings))})
    return 1 if wrong else 0
