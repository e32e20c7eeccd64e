"""Ensemble a finished run with its initial model in weight space (WiSE-FT).

    bash scripts/wise_ft.sh --model-dir RUN --alpha 0 0.25 0.5 0.75 1

The model is evaluated at each alpha. Its record has the format of a run's and goes to
RUN/wise_ft/alpha<A>, or below --output-dir. --domain evaluates on other domains, --classes on half
of the known classes; each adds a folder level above alpha<A>. ImageNet's variants are domains of
ImageNet.
"""

import argparse

from tabulate import tabulate

from ueo.commands import HelpFormatter
from ueo.commands.train import as_settings, defaults_of
from ueo.runs.status import command
from ueo.settings.known_keys import MOST_THREADS, OWN
from ueo.settings.options import folder, number
from ueo.studies.elsewhere import METRICS, ElsewhereSettings, evaluate_elsewhere


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    add = p.add_argument
    add("--model-dir", required=True, help="folder of the finished run")
    add("--alpha", nargs="+", type=number("--alpha", float),
        help="interpolation weights (0: the initial model, 1: the tuned one)")
    add("--load-epoch", type=number("--load-epoch", low=1),
        help="epoch of the checkpoint (default: the last)")
    add("--domain", nargs="+", help="domains to evaluate on (default: the run's)")
    add("--classes", nargs="+", choices=OWN["DATASET"]["SUBSAMPLE_CLASSES"].choices,
        help="evaluate on all known classes, the base half or the new half (default: the run's)")
    add("--output-dir", type=folder("--output-dir"),
        help="folder of the records (default: RUN/wise_ft)")
    add("--root", type=folder("--root"), help="data root: folder of the data sets")
    add("--plugin", nargs="+", help="Python files with further trainers or data sets")
    add("--device", choices=("auto", "cpu", "cuda"), help="device to run on")
    add("--threads", type=number("--threads", low=0, high=MOST_THREADS),
        help="CPU threads; 0: torch's default")
    add("--set", nargs="+", dest="options", metavar="KEY VALUE", help="configuration options")
    p.set_defaults(**defaults_of(ElsewhereSettings))
    return p


@command(parser)
def main(args: argparse.Namespace) -> None:
    settings = as_settings(ElsewhereSettings, args)
    rows = evaluate_elsewhere(settings)
    names = ["domain", "classes", "alpha", *(name.upper() for name in METRICS)]
    print(tabulate(rows, names, floatfmt=("", "", "", *[".2f"] * len(METRICS))))
    levels = "<domain>/" * bool(settings.domain) + "<classes>/" * bool(settings.classes)
    print(f"Test set, percent. Records: {settings.output}/{levels}alpha<A>/result.json")
