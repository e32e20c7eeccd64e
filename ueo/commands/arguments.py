"""Arguments that the commands with many runs share."""

import argparse

from ueo.clip.backbones import available_backbones
from ueo.clip.towers.open_clip_names import is_named
from ueo.commands import HelpFormatter
from ueo.commands.train import ListBackbones, as_settings, defaults_of
from ueo.errors import ConfigError
from ueo.grids.choices import dataset_names
from ueo.grids.grid_settings import GridSettings
from ueo.runs.configure import register
from ueo.settings.known_keys import LARGEST_SEED, MOST_THREADS
from ueo.settings.options import folder, number, pairs


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        if message.startswith("unrecognized arguments: "):
            _check_no_backbone(message.split()[2:])
        super().error(message)


def _check_no_backbone(words: list[str]) -> None:
    """Raise ConfigError for a backbone where none is read, as behind another one."""
    for word in words:
        if word in available_backbones() or is_named(word):
            raise ConfigError(
                f"{word} is a backbone, of which --backbone takes one: for several, call the "
                "command once for each, with the same --output; each has tables of its own"
            )


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments of GridSettings, with its defaults."""
    p = _Parser(description=description, formatter_class=HelpFormatter)
    add = p.add_argument
    add("datasets", nargs="*",
        help="data sets in configs/datasets/, paths of yaml files, or all for the 15 domains")
    add("--trainers", nargs="+", help="trainers, or all; gains are over the first")
    add("--domain", nargs="+", help="target domains (default: all)")
    add("--setting", nargs="+", help="label spaces (default: those of the data set)")
    add("--seed", nargs="+", type=number("--seed", low=-1, high=LARGEST_SEED),
        help="seeds (default: 1 2 3; 1 for your own images)")
    add("--backbone", help="CLIP backbone (default: that of the data set's yaml, or RN50)")
    add("--list-backbones", action=ListBackbones, help="list the backbones and stop")
    add("--config-file", help="yaml file to use instead of the backbone's, a whole recipe")
    add("--plugin", nargs="+", help="Python files with further trainers or data sets")
    add("--recipe", choices=("common", "paper"),
        help="UEO's recipe for all methods, or each method's own paper's")
    add("--protocol", help="released, independent or online")
    add("--path", help="your own images: their folder or list")
    add("--names", help="your own images: file of class names")
    add("--recursive", action="store_true", help="your own images: read sub-folders too")
    add("--root", type=folder("--root"), help="data root")
    add("--download", action="store_true", help="download missing data sets without asking")
    add("--output", type=folder("--output"), help="folder of all records")
    add("--device", choices=("auto", "cpu", "cuda"), help="where to run")
    add("--jobs", type=number("--jobs", low=0, high=MOST_THREADS),
        help="runs at once; 0: one per GPU, or without a GPU one per CPU core")
    add("--shard", metavar="I/N", help="only every N-th run, starting with the I-th")
    add("--dry-run", action="store_true", help="print what would run and stop")
    add("--tables-only", action="store_true", help="run nothing; make tables of the finished runs")
    add("--overwrite", action="store_true", help="repeat finished runs")
    add("--set", nargs="+", dest="options", metavar="KEY VALUE", help="configuration keys")
    p.set_defaults(**defaults_of(GridSettings))
    return p


def grid_settings(args: argparse.Namespace) -> GridSettings:
    _check_no_backbone(args.datasets)
    settings = as_settings(GridSettings, args)
    pairs(settings.options, "--set")  # before a study adds its own
    return settings


def one_dataset(settings: GridSettings) -> str:
    """The data set of a study; registers plug-ins. Raises ConfigError where several are named."""
    register(settings.plugin)
    name, *others = dataset_names(settings.datasets)
    if others:
        raise ConfigError(f"{name} {' '.join(others)}: this command takes one data set at a time")
    return name
