"""Export a finished run as one folder: weights, class names, threshold, a card, an ONNX file.

    bash scripts/export.sh --model RUN

`ueo.load(FOLDER)` reads it in Python; neither the run nor the backbone's weights are needed.
"""

import argparse

from ueo.commands.train import as_settings, defaults_of
from ueo.inference.export import ExportSettings, export
from ueo.runs.status import command


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--model", required=True, metavar="RUN", help="folder of a finished run")
    add("--output", help="folder to write (default: RUN/export)")
    add("--onnx", action=argparse.BooleanOptionalAction,
        help="write an ONNX file or not (default: write it if its packages are installed)")
    add("--threshold", metavar="RULE|NUMBER",
        help="lowest score of a known image (default: the run's rule)")
    add("--overwrite", action="store_true", help="replace an existing export")
    add("--plugin", nargs="+", help="Python files that the run's trainer needs")
    p.set_defaults(**defaults_of(ExportSettings))
    return p


@command(parser)
def main(args: argparse.Namespace) -> None:
    print(f"Exported to {export(as_settings(ExportSettings, args))}")
