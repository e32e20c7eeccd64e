"""The runs of the bench: first the tuning runs, then the reported ones."""

from collections.abc import Iterable
from dataclasses import replace

from ueo.grids.grid_settings import ZERO_SHOT, GridSettings, PlannedRun
from ueo.grids.plan import plan
from ueo.studies import tuning
from ueo.studies.bench import protocol
from ueo.studies.bench.protocol import DATASET, SHIPPED, domains

BY_LABELS, WITHOUT_LABELS = "by_labels", "without_labels"
INFORMATION = "unlabelled", "mutual_information"

# (architecture, method) -> (the option to choose, {value: its runs})
Trials = dict[tuple[str, str], tuple[str, dict[str, list[PlannedRun]]]]
Reported = dict[tuple[str, str, str], list[PlannedRun]]  # (model, group of domains, method)


def trials(settings: GridSettings, models: Iterable[str]) -> Trials:
    """Plan the runs that choose the option of each method, on the shipped models."""
    found = {}
    for kind in dict.fromkeys(map(protocol.architecture, models)):
        model = SHIPPED[kind]
        on_model = protocol.tuning_settings(settings, model)
        for method in protocol.methods(settings, model):
            key, values = protocol.to_tune(settings, method, model)
            found[kind, method] = key, {
                value: plan(on_model.having(key, value, trainers=(method,)), DATASET)
                for value in values
            }
    return found


def choices(made: Trials) -> dict[tuple[str, str], dict]:
    """Return for each method and architecture the option, the figures of each value, and the
    choice of each rule; None if nothing was measured."""
    found = {}
    for place, (key, by_value) in made.items():
        labelled, unlabelled = (
            {value: tuning.mean_of(runs, *what) for value, runs in by_value.items()}
            for what in (tuning.HM, INFORMATION)
        )
        found[place] = {
            "key": key,
            "hm": labelled,
            "mutual_information": unlabelled,
            **tuning.choose({BY_LABELS: labelled, WITHOUT_LABELS: unlabelled}),
        }
    return found


def reported(
    settings: GridSettings, models: Iterable[str], chosen: dict[tuple[str, str], dict]
) -> Reported:
    """Plan all runs of the tables. A method whose option could not be chosen has none."""
    found = {}
    for model in models:
        kind = protocol.architecture(model)
        for group, of_group in domains().items():
            on_model = replace(settings, backbone=model, domain=of_group)
            found[model, group, ZERO_SHOT] = plan(
                replace(on_model, trainers=(ZERO_SHOT,)), DATASET
            )
            for method in protocol.methods(settings, model):
                choice = chosen[kind, method]
                asked = replace(on_model, trainers=(method,), seed=protocol.seeds(method, model))
                if choice[BY_LABELS] is not None:
                    asked = asked.having(choice["key"], choice[BY_LABELS])
                elif choice["key"]:
                    continue
                found[model, group, method] = plan(asked, DATASET)
    return found
