"""Choose one option of each method on the tuning domain, by the same values and rule for all.

The rule: take the value with the highest HM (harmonic mean of PACC and AUROC), averaged over label
spaces, of one seed on the test images of the tuning domain. This reads labels, so every reported
mean leaves out the tuning domain.
"""

from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from ueo.errors import ConfigError
from ueo.files import write_json
from ueo.grids.choices import (
    ALL,
    config_name,
    dataset_class,
    in_name,
    output_name,
    trainer_names,
)
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.plan import plan
from ueo.grids.run_grid import selection
from ueo.results.gains import mean
from ueo.results.record import read_result
from ueo.text import file_name

HM = "test", "hm"  # selection criterion: images, metric
RATE = "OPTIM.LR"
RATES = ("1e-3", "3e-3", "1e-2", "3e-2")
SEEDS = (1,)

Plans = dict[tuple[str, str], list[PlannedRun]]  # (trainer, value) -> its runs


def on_tuning_domain(settings: GridSettings, dataset: str) -> GridSettings:
    """Restrict the settings to the tuning domain. Raise ConfigError if the data set has none, or
    if another domain is requested."""
    kind = dataset_class(dataset)
    if kind.tuning_domain is None:
        raise ConfigError(f"{dataset} has no tuning domain; set tuning_domain in {kind.__name__}")
    if [kind.domain_of(domain) for domain in settings.domain] not in ([], [kind.tuning_domain]):
        raise ConfigError(
            f"--domain {' '.join(settings.domain)}: choosing reads labels, so it is limited to "
            f"{kind.tuning_domain}"
        )
    return replace(settings, domain=(kind.tuning_domain,))


def plans(settings: GridSettings, dataset: str, key: str, values: list[str]) -> Plans:
    """Plan runs of each method except zero-shot CLIP with each value of the option `key`. Raise
    ConfigError if no method is left."""
    names = [n for n in trainer_names(settings) if n != ZERO_SHOT]
    if not names:
        raise ConfigError(f"--trainers {ZERO_SHOT}: has nothing to choose; name another method")
    return {(name, value): plan(settings.having(key, value, trainers=(name,)), dataset)
            for value in values for name in names}


def mean_of(runs: list[PlannedRun], images: str, metric: str) -> float | None:
    """Return the mean of a metric of the runs on the "test" or the "unlabelled" images; None if a
    run or its metric is missing."""
    results = [read_result(run.folder) for run in runs]
    return mean([result and result["metrics"][images][metric] for result in results])


def choose(scores: dict[str, dict[str, float | None]]) -> dict[str, str | None]:
    """Return the value with the highest score of each method; None if nothing was measured."""
    measured = {name: {r: s for r, s in by.items() if s is not None} for name, by in scores.items()}
    return {name: max(by, key=by.get) if by else None for name, by in measured.items()}


def report(settings: GridSettings, dataset: str, by_value: Plans, key: str) -> None:
    """Write and print the score of each value and the chosen values."""
    scores: dict[str, dict] = {}
    for (name, value), runs in by_value.items():
        scores.setdefault(name, {})[value] = mean_of(runs, *HM)
    chosen = choose(scores)
    runs, values = next(iter(by_value.values())), list(dict.fromkeys(v for _, v in by_value))
    backbone = runs[0].config["MODEL.BACKBONE.NAME"]
    parts = ["tuning", config_name(backbone, settings), *[key] * (key != RATE)]
    parts += selection(settings, runs, usual=replace(settings, seed=SEEDS, setting=()))
    parts += scores if ALL not in settings.trainers else []
    parts += ["+".join(in_name(key, v) for v in values)] * (values != [*RATES])
    file = Path(settings.output, output_name(dataset), f"{file_name('-'.join(parts))}.json")
    (domain,) = settings.domain
    write_json(file, {"domain": domain, "seeds": list(settings.seed), "rule": "highest mean HM",
                      "key": key, "scores": scores, "chosen": chosen})
    rows = [
        [name, *("-" if by[v] is None else f"{by[v]:.2f}" for v in values), chosen[name]]
        for name, by in scores.items()
    ]
    print(tabulate(rows, ["method", *values, "chosen"], disable_numparse=True))
    print(f"\nMean HM over label spaces on {domain}: {file}")
    if lacking := [name for name, by in scores.items() if None in by.values()]:
        print(f"Not measured with every value (-): {', '.join(lacking)}; the choice is the best of "
              "the others")
