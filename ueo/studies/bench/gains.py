"""Compute each method's gains over zero-shot CLIP on the bench, from records alone."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from dassl.data.datasets import DATASET_REGISTRY

from ueo.grids.grid_settings import ZERO_SHOT
from ueo.open_set import RULE, THRESHOLDS, accepted
from ueo.results.bootstrap import ACCEPTED, cut, drawn_gains, estimate, resampled
from ueo.results.check_outputs import MARGINS
from ueo.results.comparable import check_alike, check_inputs
from ueo.results.gains import RESAMPLES
from ueo.results.record import read_outputs, read_result, score_of
from ueo.settings.discover import of_registered
from ueo.studies.bench.protocol import SHIPPED
from ueo.studies.bench.runs import Reported
from ueo.studies.claims import verdict

METRICS = {"pacc": "PACC", "auroc": "AUROC", "hm": "HM", "h_score": "H-score"}


def measured(reported: Reported) -> list[dict]:
    """Return a row per scope of models, group of domains and method, with its gains over zero-shot
    CLIP in percentage points. A method counts if its runs on every model of the scope are finished,
    so that all methods of a scope are compared on the same images."""
    done = {place: found for place, runs in reported.items()
            if (found := finished(run.folder for run in runs))}
    rows = []
    for scope, models in scopes(reported).items():
        for group in dict.fromkeys(group for _, group, _ in reported):
            for method in dict.fromkeys(name for _, _, name in reported if name != ZERO_SHOT):
                places = [(model, group, name) for model in models for name in (method, ZERO_SHOT)]
                if all(place in done for place in places):
                    rows.append({"scope": scope} | row(group, method, {
                        model: (done[model, group, method], done[model, group, ZERO_SHOT])
                        for model in models
                    }))
    return rows


def scopes(reported: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    """Return {scope: models}: the shipped models, on which every method runs; and all, if more."""
    models = list(dict.fromkeys(model for model, _, _ in reported))
    shipped = [model for model in models if model in SHIPPED.values()]
    scopes = {"shipped": shipped, "all": models}
    if not shipped or shipped == models:
        del scopes["all" if shipped else "shipped"]
    return scopes


def finished(folders: Iterable[Path]) -> list[dict]:
    """Return {"folder", "result", "outputs"} of each record; [] if one is missing."""
    found = []
    for folder in folders:
        if (result := read_result(folder)) is None:
            return []
        outputs = dict(read_outputs(folder))
        outputs[ACCEPTED] = _accepted(outputs)
        found.append({"folder": folder, "result": result, "outputs": outputs})
    return found


def _accepted(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return which test images are accepted as known; in a stream, each by its own threshold."""
    if MARGINS in outputs:
        return accepted(outputs[MARGINS], 0.0)
    threshold = THRESHOLDS[RULE](
        outputs["unlabelled_scores_after"], outputs["unlabelled_scores_before"])
    return accepted(outputs["test_scores_after"], threshold)


def row(group: str, method: str, by_model: dict[str, tuple[list[dict], list[dict]]]) -> dict:
    """Return the gains of `method` on a group of domains. by_model: (its records, those of the
    base), from `finished`. "signs" and "scores" are those of both. Raise DataError if the records
    of a model differ in engine, device, weights or images, or one method's in configuration."""
    for sides in by_model.values():
        entries = [[(Path(run["folder"]), run["result"]) for run in side] for side in sides]
        check_inputs(entry for side in entries for entry in side)
        for side in entries:
            check_alike(side)
    ours = [run | {"model": model} for model, (own, _) in by_model.items() for run in own]
    base = [run | {"model": model} for model, (_, zero) in by_model.items() for run in zero]
    # images of the same object in several domains are not independent
    object_of = of_registered(DATASET_REGISTRY, ours[0]["result"]["dataset"], "object_of", None)
    drawn = drawn_gains(_by_cell(ours), _by_cell(base), tuple(METRICS), RESAMPLES,
                        object_of=object_of)
    each, before = _gain_of_each(ours, base), [_values(run) for run in base]
    gained = {
        "group": group, "method": method, "models": list(by_model),
        "signs": [_signs(of[0]["result"]) for of in (ours, base)],
        "scores": [score_of(of[0]["result"]) for of in (ours, base)],
        "by_domain": {domain: {m: _estimate([drawn[m][domain]]) for m in METRICS}
                      for domain in drawn["pacc"]},
    }
    for metric in METRICS:
        found = _estimate(drawn[metric].values())
        gained[metric] = {
            "base": 100 * float(np.mean([values[metric] for values in before])),
            **found,
            "verdict": verdict([found["interval"]]),
            **{f"by_{part}": _spread(ours, [own[metric] for own in each], of)
               for part, of in PARTS.items()},
        }
    return gained


def _signs(result: dict) -> str:
    """Return the signs of a method, like `render.signs`."""
    return "†" * bool(result.get("uses_labels")) + "‡" * bool(result.get("reads_labels"))


def _estimate(drawn: Iterable[np.ndarray]) -> dict:
    gain, bounds = estimate(drawn)
    return {"gain": gain, "interval": bounds}


def _by_cell(runs: list[dict]) -> dict[tuple[str, ...], list]:
    found = defaultdict(list)
    for run in runs:
        found[_cell(run)].append((run["outputs"], _known(run)))
    return found


def _known(run: dict) -> int:
    return run["result"]["counts"]["known_classes"]


PARTS: dict[str, Callable[[dict], str]] = {
    "model": lambda run: run["model"],
    "seed": lambda run: str(run["result"]["seed"]),
    "domain": lambda run: run["result"]["domain"],
    "setting": lambda run: run["result"]["setting"],
}


def _gain_of_each(ours: list[dict], base: list[dict]) -> list[dict[str, float]]:
    """Return each run's gain over the base run of its cell, with the same seed if there is one, on
    the images that both were tested on."""
    found = []
    for run in ours:
        beside = {PARTS["seed"](other): other for other in base if _cell(other) == _cell(run)}
        pair = [run, beside.get(PARTS["seed"](run), next(iter(beside.values())))]
        paths = [each["outputs"]["test_paths"] for each in pair]
        if not np.array_equal(*paths):
            shared = sorted(set(paths[0].tolist()).intersection(paths[1].tolist()))
            pair = [each | {"outputs": cut(each["outputs"], shared)} for each in pair]
        values, before = map(_values, pair)
        found.append({metric: 100 * (values[metric] - before[metric]) for metric in METRICS})
    return found


def _cell(run: dict) -> tuple[str, ...]:
    return tuple(PARTS[part](run) for part in ("domain", "model", "setting"))


def _values(run: dict) -> dict[str, float]:
    outputs = run["outputs"]
    once = np.ones((1, len(outputs["test_labels"])), np.float32)
    return {name: float(found[0]) for name, found in resampled(outputs, _known(run), once).items()}


def _spread(runs: list[dict], gains: list[float], of: Callable[[dict], str]) -> dict[str, float]:
    """Return the mean gain of each part of the runs, such as each seed. All cells have equal
    weight; seeds are compared in the cells that have most of them."""
    size = Counter(map(_cell, runs))
    most, parts = max(size.values()), defaultdict(list)
    for run, gain in zip(runs, gains):
        if of is not PARTS["seed"] or size[_cell(run)] == most:
            parts[of(run)].append((gain, most / size[_cell(run)]))
    return {part: float(np.average(values, weights=weights))
            for part, pairs in sorted(parts.items()) for values, weights in [zip(*pairs)]}
