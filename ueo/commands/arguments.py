"""Arguments shared by the commands that start many runs."""

import argparse

from ueo.clip.backbones import available_backbones
from ueo.clip.towers.open_clip_names import is_named
from ueo.commands import HelpFormatter
from ueo.commands.train import add_shared, as_settings, defaults_of
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
    """Raise ConfigError for a backbone where none belongs, such as a second one."""
    for word in words:
        if word in available_backbones() or is_named(word):
            raise ConfigError(
                f"{word} is a backbone, and --backbone takes only one: for several, run the "
                "command once per backbone with the same --output; each gets its own tables"
            )


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the fields of GridSettings as arguments, and their defaults."""
    p = _Parser(description=description, formatter_class=HelpFormatter)
    add = p.add_argument
    add("datasets", nargs="*",
        help="names in configs/datasets/, paths of yaml files, or all (the 15 domains)")
    add("--trainers", nargs="+", help="trainers, or all; gains are relative to the first")
    add("--domain", nargs="+", help="target domains (default: all)")
    add("--setting", nargs="+", help="label spaces (default: those of the data set)")
    add("--seed", nargs="+", type=number("--seed", low=-1, high=LARGEST_SEED),
        help="seeds (default: 1 2 3; 1 for your own images)")
    add("--backbone", help="CLIP backbone (default: that of the data set's yaml, or RN50)")
    add("--config-file", help="yaml file with a complete recipe, used instead of configs/trainers/")
    add_shared(add)
    add("--recipe", choices=("common", "paper"),
        help="common: UEO's recipe for every method; paper: the recipe of each method's paper")
    add("--download", action="store_true", help="download missing data sets without asking")
    add("--output", type=folder("--output"), help="folder of all results")
    add("--jobs", type=number("--jobs", low=0, high=MOST_THREADS),
        help="runs in parallel; 0: one per GPU, or one per CPU core (at most 8) without a GPU")
    add("--shard", metavar="I/N", help="only every N-th run, starting with the I-th")
    add("--dry-run", action="store_true", help="print what would run and stop")
    add("--tables-only", action="store_true", help="only make the tables of the finished runs")
    add("--overwrite", action="store_true", help="repeat finished runs")
    add("--set", nargs="+", dest="options", metavar="KEY VALUE", help="configuration options")
    p.set_defaults(**defaults_of(GridSettings))
    return p


def grid_settings(args: argparse.Namespace) -> GridSettings:
    _check_no_backbone(args.datasets)
    settings = as_settings(GridSettings, args)
    pairs(settings.options, "--set")  # check them before a study adds its own
    return settings


def one_dataset(settings: GridSettings) -> str:
    """Register the plug-ins and return the study's data set. Raise ConfigError for several."""
    register(settings.plugin)
    name, *others = dataset_names(settings.datasets)
    if others:
        raise ConfigError(f"{name} {' '.join(others)}: this command takes one data set at a time")
    return name
