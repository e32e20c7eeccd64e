"""Predict new images with the model of a finished run.

    bash scripts/predict.sh --model RUN --path NEW

NEW is a folder of images at any depth, a text file with one path a line, one image, or shards
(docs/streams.md). What a killed process left is taken up by the same command.
"""

import argparse

from ueo.commands.train import as_settings, defaults_of
from ueo.inference.predict import PredictSettings, predict
from ueo.runs.status import command
from ueo.settings.options import folder, number

MOST_WORKERS, LARGEST_BATCH = 1024, 1 << 16


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--model", required=True, type=folder("--model"), metavar="RUN",
        help="folder of a finished run")
    add("--path", required=True, type=folder("--path"), metavar="NEW",
        help="folder of images, list of paths, shards, or one image")
    add("--output", metavar="CSV",
        help="file of predictions (default: RUN/predictions/<name of NEW>.csv)")
    add("--root", type=folder("--root"),
        help="folder where relative paths of a list start (default: the current one)")
    add("--threshold", metavar="RULE|NUMBER",
        help="lowest score of a known image: a rule of docs/thresholds.md, a number, or none to "
             "count every image as known (default: the run's rule)")
    add("--no-before", action="store_false", dest="before",
        help="leave out the predictions of the model before adaptation: half the time")
    add("--batch-size", type=number("--batch-size", low=1, high=LARGEST_BATCH),
        help="images at once (default: that of the run); changes no result")
    add("--workers", type=number("--workers", low=0, high=MOST_WORKERS),
        help="processes that read images (default: one per CPU core)")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--plugin", nargs="+", help="Python files that the run's trainer needs")
    add("--overwrite", action="store_true", help="replace a file of predictions that is there")
    p.set_defaults(**defaults_of(PredictSettings))
    return p


@command(parser)
def main(args: argparse.Namespace) -> None:
    predict(as_settings(PredictSettings, args))
