"""The runs of the study: every method in the usual stream, other batch sizes and other orders.

docs/online.md fixes them for the bench.
"""

from dataclasses import replace

from ueo.clip.backbones import name_in_tables
from ueo.errors import ConfigError
from ueo.grids.choices import dataset_class, reported_domains
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.grids.plan import plan
from ueo.label_space import parse_setting
from ueo.settings.known_keys import ONLINE
from ueo.studies.bench.protocol import DATASET, SHIPPED, domains
from ueo.studies.bench.runs import Reported

SIZE, ORDER, GAMMA = "DATALOADER.TRAIN_X.BATCH_SIZE", "ONLINE.ORDER", "ONLINE.GAMMA"
USUAL_SIZE, USUAL_ORDER = (SIZE, "64"), (ORDER, "shuffled")
SIZES = {size: (*USUAL_ORDER, SIZE, size) for size in ("1", "8", "64", "256")}
ORDERS = {
    "shuffled": (*USUAL_ORDER, *USUAL_SIZE),
    **{f"gamma {gamma}": (ORDER, "correlated", GAMMA, gamma, *USUAL_SIZE)
       for gamma in ("0.1", "0.01", "0.001")},
    "classes": (ORDER, "classes", *USUAL_SIZE),
}
AXES = {"batch": SIZES, "order": ORDERS}  # each in one figure
USUAL = {"batch": "64", "order": "shuffled"}
TABLE = "table", ""  # every method in the usual stream
FIXED = (ORDER, GAMMA, SIZE)
SEEDS = (1,)
ALL_KNOWN = ("closed", "partial", "all")  # label spaces without unknown images in a stream
OTHER = "other"  # the group of all domains that are not in the bench

Runs = dict[tuple[str, str], Reported]  # TABLE or (axis, value) -> its runs


def planned(settings: GridSettings) -> Runs:
    """Plan all runs; a run that several parts share is planned in each and runs once. Settings that
    are not given follow the protocol; the tuning domain is left out. Raise ConfigError for settings
    that the study fixes."""
    if settings.protocol != ONLINE:
        raise ConfigError(f"--protocol {settings.protocol}: the study is of streams")
    if len(settings.datasets) != 1:
        raise ConfigError("name one data set: the study compares streams of the same images")
    for key in settings.options[::2]:
        if key in FIXED:
            raise ConfigError(f"--set {key}: the study varies it itself; use scripts/tables.sh")
    streams = {TABLE: ORDERS["shuffled"], **{
        (axis, value): options for axis, of in AXES.items() for value, options in of.items()
    }}
    settings = replace(settings, trainers=(ZERO_SHOT, *settings.trainers),
                       seed=settings.seed or SEEDS)
    return {place: _reported(settings.having(*options), place != TABLE)
            for place, options in streams.items()}


def _reported(settings: GridSettings, figure: bool) -> Reported:
    """Plan the runs in one stream. On the bench, a figure has one model, one label space and one
    style by default."""
    (dataset,) = settings.datasets
    bench = dataset == DATASET
    few = slice(1 if figure and bench else None)
    groups, models = (domains(), tuple(SHIPPED.values())[few]) if bench else ({}, ("",))
    targets = tuple(domain for of in groups.values() for domain in of[few])
    settings = replace(settings, setting=_label_spaces(settings, few),
                       domain=settings.domain or targets or reported_domains(dataset))
    found = {}
    for model in (settings.backbone,) if settings.backbone else models:
        for run in plan(replace(settings, backbone=model), dataset):
            (domain,) = run.settings.domain
            group = next((name for name, of in groups.items() if domain in of), OTHER)
            place = name_in_tables(run.settings.backbone), group, run.settings.trainer
            found.setdefault(place, []).append(run)
    return found


def _label_spaces(settings: GridSettings, few: slice) -> tuple[str, ...]:
    """Return the requested label spaces; by default those with unknown images."""
    asked = tuple(map(parse_setting, settings.setting))
    own = dataset_class(settings.datasets[0]).settings
    spaces = asked or tuple(name for name in own if name not in ALL_KNOWN)[few]
    if wrong := [name for name in spaces or own if name in ALL_KNOWN]:
        raise ConfigError(f"label space {wrong[0]}: a stream of it has no unknown image, and the "
                          "study measures detection; use scripts/tables.sh")
    return spaces
