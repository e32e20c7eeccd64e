"""Gains of one method over another, from the runs of both: mean, by domain, by severity of a shift.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from ueo.results.bootstrap import drawn_gains, estimate, rows_of
from ueo.results.check_outputs import measure
from ueo.results.comparable import Entry
from ueo.results.paper.names import shifted
from ueo.results.record import read_outputs

METRICS = ("pacc", "auroc", "fpr95", "hm", "h_score", "accuracy", "ece")  # of a table
GAINS = ("pacc", "auroc")  # with a bootstrap interval
RESAMPLES = 1000

Drawn = dict[str, dict[str, np.ndarray]]  # as bootstrap.drawn_gains gives it


def overall_gain(entries: list[Entry], method: str, base: str) -> dict | None:
    """Mean gain of `method` over `base` in points, over the domains and label spaces that both
    have, with its paired 95 % bootstrap interval over test images and each seed's gain; the same by
    domain, and where domains are shifts of others by severity. The tuning domain and the label
    space "all" stay out. None where nothing can be compared."""
    runs: dict[str, dict[tuple, list[Entry]]] = {method: defaultdict(list), base: defaultdict(list)}
    for folder, r in entries:
        measured = r["metrics"]["test"]["pacc"] is not None
        measured = measured and r["metrics"]["test"]["auroc"] is not None
        if r["trainer"] in runs and r["domain"] != r["tuning_domain"] and measured:
            runs[r["trainer"]][r["domain"], r["setting"]].append((folder, r))
    cells = sorted(set(runs[method]) & set(runs[base]))
    if not cells:
        return None
    ours, theirs = _by_domain(runs[method], cells), _by_domain(runs[base], cells)
    drawn = drawn_gains(ours, theirs, GAINS, RESAMPLES)
    against = base_metrics([e for e in entries if e[1]["trainer"] in runs], base)
    by_seed = {m: defaultdict(list) for m in GAINS}
    for cell in cells:
        for m in GAINS:
            for folder, r in runs[method][cell]:
                by_seed[m][r["seed"]].append(r["metrics"]["test"][m] - against[folder][m])
    result = {"method": method, "base": base, "cells": len(cells)}
    for m, gain in _mean_gain(drawn, list(ours)).items():
        seeds = [float(np.mean(values)) for _, values in sorted(by_seed[m].items())]
        result[m] = {**gain, "seeds": seeds}
    result["by_domain"] = {domain: _mean_gain(drawn, [domain]) for domain in ours}
    tuned_on = shifted(entries[0][1]["tuning_domain"] or "")[0]
    if severities := by_severity(list(ours), tuned_on):
        result["by_severity"] = [
            {"shift": shift, "severity": severity, "domains": domains,
             **_mean_gain(drawn, domains)}
            for (shift, severity), domains in severities.items()
        ]
    return result


def by_severity(domains: list[str], left_out: str = "") -> dict[tuple[str, int], list[str]]:
    """{(shift, severity): its domains}, a mean over the same styles at each severity: one at which
    a style is missing is left out. CLEAN is a severity of each shift. left_out: a style that
    methods were tuned on."""
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
    found = {m: estimate(drawn[m][domain] for domain in domains) for m in GAINS}
    return {m: {"gain": gain, "interval": bounds} for m, (gain, bounds) in found.items()}


def _by_domain(runs: dict[tuple, list[Entry]], cells: list[tuple]) -> dict[str, list]:
    """{domain: [(outputs, number of known classes)]} of the runs in `cells`."""
    found = defaultdict(list)
    for cell in cells:
        for folder, r in runs[cell]:
            found[cell[0]].append((read_outputs(folder), r["counts"]["known_classes"]))
    return found


def base_metrics(entries: list[Entry], base: str) -> dict[Path, dict]:
    """{folder of a run of another method: test metrics of `base` on the images of that run}.

    They are the mean over the base's runs, and those of all its images, unless labelled shots are
    missing in the run's test set. Runs without a counterpart are left out.
    """
    counterparts = defaultdict(list)
    for folder, r in entries:
        if r["trainer"] == base:
            counterparts[r["setting"], r["domain"]].append((folder, r))
    found = {}
    for folder, r in entries:
        bases = counterparts.get((r["setting"], r["domain"]))
        if r["trainer"] != base and bases:
            values = [result["metrics"]["test"] for _, result in bases]
            if r["counts"].get("shots_left_out_of_test"):
                values = [_on_images_of(folder, *entry) for entry in bases]
            found[folder] = {m: mean([v.get(m) for v in values]) for m in METRICS}
    return found


def _on_images_of(folder: Path, base_folder: Path, base_result: dict) -> dict:
    """Test metrics in percent of a run, on the images that the run in `folder` was tested on."""
    outputs = read_outputs(base_folder)
    rows = rows_of(outputs, read_outputs(folder)["test_paths"].tolist())
    return measure(base_folder, outputs, base_result["counts"]["known_classes"], rows)


def mean(values: list) -> float | None:
    """None where a value is missing."""
    return None if None in values else float(np.mean(values))
