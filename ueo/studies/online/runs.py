"""The runs of the study: every method at every size of a batch and in every order."""

from dataclasses import replace

from ueo.errors import ConfigError
from ueo.grids.choices import dataset_class
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.plan import plan
from ueo.results.gains import overall_gain
from ueo.results.record import read_result
from ueo.settings.known_keys import ONLINE

SIZE, ORDER, GAMMA = "DATALOADER.TRAIN_X.BATCH_SIZE", "ONLINE.ORDER", "ONLINE.GAMMA"
USUAL_SIZE, USUAL_ORDER = (SIZE, "64"), (ORDER, "shuffled")
SIZES = {size: (*USUAL_ORDER, SIZE, size) for size in ("1", "4", "16", "64", "256")}
ORDERS = {
    "shuffled": (*USUAL_ORDER, *USUAL_SIZE),
    **{f"gamma {gamma}": (ORDER, "correlated", GAMMA, gamma, *USUAL_SIZE)
       for gamma in ("0.1", "0.01", "0.001")},
    "classes": (ORDER, "classes", *USUAL_SIZE),
}
AXES = {"batch": SIZES, "order": ORDERS}  # each in one figure
FIXED = ("ONLINE.ORDER", "ONLINE.GAMMA", SIZE)

Runs = dict[tuple[str, str], list[PlannedRun]]  # (axis, value) -> its runs


def planned(settings: GridSettings) -> Runs:
    """Every run; what both axes have in common is planned twice and runs once. The tuning domain
    stays out. Raises ConfigError for what the study fixes."""
    if len(settings.datasets) != 1:
        raise ConfigError("name one data set: the study compares streams of the same images")
    for key in settings.options[::2]:
        if key in FIXED:
            raise ConfigError(f"--set {key}: the study has all of them; use scripts/tables.sh")
    kind = dataset_class(settings.datasets[0])
    domains = tuple(d for d in getattr(kind, "targets", ()) if d != kind.tuning_domain)
    settings = replace(settings, protocol=ONLINE, domain=settings.domain or domains)
    return {
        (axis, value): plan(settings.having(*options), settings.datasets[0])
        for axis, values in AXES.items() for value, options in values.items()
    }


def gains(runs: Runs) -> list[dict]:
    """What each method gains over zero-shot CLIP: {"axis", "value", "method", "base", "pacc":
    {"gain", "interval", ...}, ...}; nothing of what is not finished."""
    found = []
    for (axis, value), of_value in runs.items():
        entries = [(r.folder, result) for r in of_value if (result := read_result(r.folder))]
        for method in sorted({result["trainer"] for _, result in entries} - {ZERO_SHOT}):
            gain = overall_gain(entries, method, ZERO_SHOT)
            if gain:
                found.append({"axis": axis, "value": value, **gain})
    return found
