"""One run: adapt to one domain under one label space, evaluate, and write the record."""

import argparse
from dataclasses import MISSING, fields

from ueo.clip.backbones import listing
from ueo.commands import HelpFormatter
from ueo.runs.configure import RunSettings
from ueo.runs.status import run_to_status, status_of
from ueo.settings.known_keys import LARGEST_SEED, MOST_THREADS
from ueo.settings.options import folder, number


class ListBackbones(argparse.Action):
    """Print all backbones and exit with status 0."""

    def __init__(self, option_strings: list[str], dest: str, help: str):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option=None) -> None:
        print(listing())
        parser.exit()


def add_shared(add) -> None:
    """Add the arguments that one run and many runs have in common. add: of an ArgumentParser."""
    add("--root", type=folder("--root"), help="data root: folder of the data sets")
    add("--protocol", help="evaluation protocol: released, independent or online")
    add("--path", help="your own images: a folder, or a file that lists them")
    add("--names", help="your own images: file of class names")
    add("--recursive", action="store_true", help="your own images: read subfolders too")
    add("--list-backbones", action=ListBackbones, help="list the backbones and stop")
    add("--device", choices=("auto", "cpu", "cuda"), help="device to run on")
    add("--plugin", nargs="+", help="Python files with further trainers or data sets")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, which follows that of the CoOp family."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    add = p.add_argument
    add("--output-dir", type=folder("--output-dir"), help="folder of this run")
    add("--trainer", help="name of the trainer")
    add("--config-file", nargs="+", help="yaml files of the trainer; later ones override earlier")
    add("--dataset-config-file", help="yaml file of the data set")
    add("--dataset", help="name of the data set, instead of its yaml file")
    add("--domain", "--target-domains", nargs="+", help="target domain")
    add("--source-domains", nargs="+", help="source domains, for trainers that use them")
    add("--setting", help="label space, such as open_partial")
    add("--backbone", help="CLIP backbone, or a file of weights (docs/backbones.md)")
    add_shared(add)
    add("--transforms", nargs="+", help="augmentations of the training images")
    add("--seed", type=number("--seed", low=-1, high=LARGEST_SEED), help="seed; -1: not fixed")
    add("--threads", type=number("--threads", low=0, high=MOST_THREADS),
        help="CPU threads; 0: torch's default")
    add("--resume", help="folder of an interrupted run to continue")
    add("--eval-only", action="store_true", help="evaluate --model-dir and stop")
    add("--model-dir", help="folder of the run whose checkpoint to evaluate")
    add("--load-epoch", type=number("--load-epoch", low=1),
        help="epoch of that checkpoint (default: the last)")
    add("--overwrite", action="store_true", help="repeat a finished run")
    add("options", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="configuration options")
    p.set_defaults(**defaults_of(RunSettings))
    return p


def settings_of(argv: list[str] | None = None) -> RunSettings:
    """Return the settings of a command line; by default that of this process."""
    return as_settings(RunSettings, parser().parse_args(argv))


def defaults_of(kind: type) -> dict:
    """Return {field: default} of a settings dataclass, without its required fields."""
    return {field.name: field.default for field in fields(kind) if field.default is not MISSING}


def as_settings(kind: type, args: argparse.Namespace):
    """Build a settings dataclass; each field takes the argument of the same name."""
    found = {field.name: getattr(args, field.name) for field in fields(kind)}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})


def main(argv: list[str] | None = None) -> int:
    """Return the exit status: 0 done, 2 user error, 3 loss not finite, 130 interrupted."""
    return status_of(lambda: run_to_status(settings_of(argv)))
