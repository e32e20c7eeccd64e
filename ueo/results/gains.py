"""Gains of one method over another, from the runs of both: mean, by domain, by severity of a shift.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from ueo.results.bootstrap import PAIR, Run, drawn_gains, estimate, rows_of
from ueo.results.check_outputs import measure
from ueo.results.comparable import Entry
from ueo.results.paper.names import shifted
from ueo.results.record import read_outputs

METRICS = ("pacc", "auroc", "fpr95", "hm", "h_score", "accuracy", "ece")  # of a table
MEASURED = (*PAIR, "hm", "fpr95")  # whose gains have a bootstrap interval in a table's .json
RESAMPLES = 1000

Drawn = dict[str, dict[str, np.ndarray]]  # of bootstrap.drawn_gains


def overall_gain(entries: list[Entry], method: str, base: str) -> dict | None:
    """Return the mean gain of `method` over `base` in points, over the domains and label spaces of
    both: with its paired 95 % bootstrap interval over test images and the gain of each seed;
    also by domain and, for shifted domains, by severity. The tuning domain and the label space
    "all" are left out. None if nothing can be compared."""
    runs: dict[str, dict[tuple, list[Entry]]] = {method: defaultdict(list), base: defaultdict(list)}
    for folder, r in entries:
        measured = None not in (r["metrics"]["test"][m] for m in PAIR)
        if r["trainer"] in runs and r["domain"] != r["tuning_domain"] and measured:
            runs[r["trainer"]][r["domain"], r["setting"]].append((folder, r))
    cells = sorted(set(runs[method]) & set(runs[base]))
    if not cells:
        return None
    domains = list(dict.fromkeys(domain for domain, _ in cells))
    ours, theirs = ({cell: [_outputs(*run) for run in runs[of][cell]] for cell in cells}
                    for of in (method, base))
    drawn = drawn_gains(ours, theirs, MEASURED, RESAMPLES)
    pairs = on_same_images([e for e in entries if e[1]["trainer"] in runs], base)
    result = {"method": method, "base": base, "cells": len(cells)}
    for m, gain in _mean_gain(drawn, domains).items():
        result[m] = {**gain, "seeds": _of_seeds(m, [runs[method][cell] for cell in cells], pairs)}
    result["by_domain"] = {domain: _mean_gain(drawn, [domain]) for domain in domains}
    tuned_on = shifted(entries[0][1]["tuning_domain"] or "")[0]
    if severities := by_severity(domains, tuned_on):
        result["by_severity"] = [
            {"shift": shift, "severity": severity, "domains": own, **_mean_gain(drawn, own)}
            for (shift, severity), own in severities.items()
        ]
    return result


def _of_seeds(
    metric: str, cells: list[list[Entry]], pairs: dict[Path, tuple[dict, dict]]
) -> list[float]:
    """Mean gain of each seed that all cells have, or of every seed if they share none. cells: their
    runs; pairs: from `on_same_images`."""
    shared = set.intersection(*({r["seed"] for _, r in cell} for cell in cells))
    by_seed = defaultdict(list)
    for folder, r in (run for cell in cells for run in cell):
        own, its = pairs[folder]
        by_seed[r["seed"]].append(own[metric] - its[metric])
    return [float(np.mean(values)) for seed, values in sorted(by_seed.items())
            if seed in shared or not shared]


def by_severity(domains: list[str], left_out: str = "") -> dict[tuple[str, int], list[str]]:
    """{(shift, severity): its domains}. All severities of a shift have the same styles: one that
    lacks a style is left out. CLEAN is a severity of each shift. left_out: the style that methods
    were tuned on."""
    parts = {shifted(domain): domain for domain in domains if shifted(domain)[0] != left_out}
    found = {}
    for shift in sorted({shift for _, shift, _ in parts} - {""}):
        styles = sorted({style for style, of, _ in parts if of == shift})
        for severity in range(10):
            own = [parts.get((style, shift if severity else "", severity)) for style in styles]
            if None not in own:
                found[shift, severity] = own
    return found


def _mean_gain(drawn: Drawn, domains: list[str]) -> dict[str, dict]:
    """{metric: {"gain", "interval"}} in points, the mean over these domains."""
    found = {m: estimate(drawn[m][domain] for domain in domains) for m in drawn}
    return {m: {"gain": gain, "interval": bounds} for m, (gain, bounds) in found.items()}


def _outputs(folder: Path, result: dict) -> Run:
    return read_outputs(folder), result["counts"]["known_classes"]


def on_same_images(entries: list[Entry], base: str) -> dict[Path, tuple[dict, dict]]:
    """{folder of a run of another method: (its test metrics, those of `base`)}, both on the images
    that it and all runs of the base were tested on.

    The base's are the mean over its runs. Recorded metrics are used unless the images differ, as
    labelled shots are left out of a test set. Runs without a counterpart are left out.
    """
    counterparts = defaultdict(list)
    for folder, r in entries:
        if r["trainer"] == base:
            counterparts[r["setting"], r["domain"]].append((folder, r))
    found = {}
    for folder, r in entries:
        bases = counterparts.get((r["setting"], r["domain"]))
        if r["trainer"] != base and bases:
            group = [(folder, r), *bases]
            values = [result["metrics"]["test"] for _, result in group]
            if any(result["counts"].get("shots_left_out_of_test") for _, result in group):
                values = _on_shared_images(group)
            own, *theirs = values
            found[folder] = own, {m: mean([v.get(m) for v in theirs]) for m in METRICS}
    return found


def _on_shared_images(group: list[Entry]) -> list[dict]:
    """Test metrics in percent of each run, on the images that all of them were tested on."""
    outputs = [read_outputs(folder) for folder, _ in group]
    first, *others = (each["test_paths"].tolist() for each in outputs)
    shared = set(first).intersection(*others)
    paths = [path for path in first if path in shared]
    return [
        result["metrics"]["test"] if len(paths) == len(own["test_paths"])
        else measure(folder, own, result["counts"]["known_classes"], rows_of(own, paths))
        for (folder, result), own in zip(group, outputs)
    ]


def mean(values: list) -> float | None:
    """Mean of the values; None if one is missing."""
    return None if None in values else float(np.mean(values))
