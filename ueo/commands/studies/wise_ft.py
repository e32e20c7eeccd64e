"""Weight-space ensembling of a finished run with the model that it started from (WiSE-FT).

    bash scripts/wise_ft.sh --model-dir RUN --alpha 0 0.25 0.5 0.75 1

Each alpha is evaluated; its record, in the form of a run's, goes to RUN/wise_ft/alpha<A>, or below
--output-dir. With --domain it is evaluated on other domains, with --classes on a half of the known
classes; each is a level of folders above alpha<A>. ImageNet's variants are domains of ImageNet.
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
    add("--alpha", nargs="+", type=number("--alpha", float), help="shares of the tuned weights")
    add("--load-epoch", type=number("--load-epoch", low=1), help="its epoch (default: the last)")
    add("--domain", nargs="+", help="evaluate on these domains, not on the run's")
    add("--classes", nargs="+", choices=OWN["DATASET"]["SUBSAMPLE_CLASSES"].choices,
        help="evaluate on all known classes, the base half or the new half (default: as the run)")
    add("--output-dir", type=folder("--output-dir"),
        help="folder of the records (default: RUN/wise_ft)")
    add("--root", type=folder("--root"), help="data root")
    add("--plugin", nargs="+", help="Python files with further trainers or data sets")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--threads", type=number("--threads", low=0, high=MOST_THREADS),
        help="CPU threads; 0: torch's own choice")
    add("--set", nargs="+", dest="options", metavar="KEY VALUE", help="configuration keys")
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
