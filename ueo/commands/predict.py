"""Predict new images with the model of a finished run.

    bash scripts/predict.sh --model RUN --path NEW

NEW is a folder of images (searched recursively), a text file with one path per line, one image, or
shards (docs/streams.md). If the process is killed, the same command continues where it stopped.
"""

import argparse

from ueo.commands.train import as_settings, defaults_of
from ueo.inference.predict import PredictSettings, predict
from ueo.runs.status import command
from ueo.settings.known_keys import MOST_THREADS
from ueo.settings.options import folder, number

LARGEST_BATCH = 1 << 16


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = p.add_argument
    add("--model", required=True, type=folder("--model"), metavar="RUN",
        help="folder of a finished run")
    add("--path", required=True, type=folder("--path"), metavar="NEW",
        help="folder of images, file that lists paths, shards, or one image")
    add("--output", metavar="CSV",
        help="file of predictions (default: RUN/predictions/<name of NEW>.csv)")
    add("--root", type=folder("--root"),
        help="folder that relative paths in a list refer to (default: the current one)")
    add("--threshold", metavar="RULE|NUMBER",
        help="lowest score of a known image: a rule of docs/thresholds.md, a number, or none to "
             "treat every image as known (default: the run's rule)")
    add("--no-before", action="store_false", dest="before",
        help="skip the predictions of the model before adaptation; takes half the time")
    add("--batch-size", type=number("--batch-size", low=1, high=LARGEST_BATCH),
        help="images per batch (default: that of the run); does not change the results")
    add("--workers", type=number("--workers", low=0, high=MOST_THREADS),
        help="processes that read images (default: one per CPU core)")
    add("--device", choices=("auto", "cpu", "cuda"), help="device to run on")
    add("--plugin", nargs="+", help="Python files that the run's trainer needs")
    add("--overwrite", action="store_true", help="replace existing predictions")
    p.set_defaults(**defaults_of(PredictSettings))
    return p


@command(parser)
def main(args: argparse.Namespace) -> None:
    predict(as_settings(PredictSettings, args))
