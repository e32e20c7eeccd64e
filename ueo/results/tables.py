"""Tables made from records: methods and label spaces down, domains across.

Data first: `summarise` turns records into plain numbers, ueo.results.render turns those into text.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from ueo import metrics
from ueo.clip.backbones import name_in_tables
from ueo.images.class_names import doubts
from ueo.results.bootstrap import COMPARED, cut, mean_gains
from ueo.results.comparable import Entry, check_comparable
from ueo.results.coverage import uneven
from ueo.results.record import read_outputs

METRICS = ("pacc", "auroc", "fpr95", "hm", "accuracy")
LOWER_IS_BETTER = ("fpr95",)
GAINS = ("pacc", "auroc")  # with a bootstrap interval
RESAMPLES = 1000
MEAN = "mean"
SETTINGS = ("closed", "partial", "open", "open_partial", "all", "as_is")  # their order in tables


def summarise(entries: list[Entry], base: str) -> dict:
    """Numbers of the table of one data set: for each label space, method and domain the mean and
    the standard deviation over seeds of each metric in percent, and the gain over the method
    `base`.

    The mean over domains leaves out the tuning domain; its spread is that of the seeds' means.
    """
    entries = sorted(entries, key=lambda e: [e[1][k] for k in ("trainer", "setting", "domain")]
                     + [e[1]["seed"]])
    check_comparable(entries)
    results = [result for _, result in entries]
    first, tuning = results[0], results[0]["tuning_domain"]
    present = {r["domain"] for r in results}
    order = [*first["domains"], *sorted(present - set(first["domains"]))]
    domains = [d for d in order if d in present]
    methods = sorted({r["trainer"] for r in results}, key=lambda m: (m != base, m))
    rows = _rows(entries, methods, domains, tuning, base)
    return {
        "dataset": first["dataset"],
        "title": first.get("title", first["dataset"]),
        "backbone": name_in_tables(first["backbone"]),
        "protocol": first["protocol"],
        "engine": first["environment"]["engine"],
        "split": _split(results),
        "base": base,
        "methods": methods,
        "use_labels": sorted({r["trainer"] for r in results if r.get("uses_labels")}),
        "read_labels": sorted({r["trainer"] for r in results if r.get("reads_labels")}),
        "domains": domains,
        "tuning_domain": tuning if tuning in domains else None,
        "as_published": _as_published(results),
        "skipped_images": len({i for r in results for i in r.get("skipped_images", {})}),
        "doubts": doubts(results),
        "uneven": uneven((r["trainer"], r) for r in results),
        "rows": rows,
        "overall": [
            gain for m in methods if m != base and (gain := overall_gain(entries, m, base))
        ],
    }


def _as_published(results: list[dict]) -> bool | None:
    """Whether every run had the published number of images; None where that is not known."""
    found = {r.get("published_counts") for r in results}
    return False if False in found else None if None in found else True


def _split(results: list[dict]) -> str:
    """One short hash of the splits of everything shown."""
    splits = sorted({(r["domain"], r["setting"], r["split_hash"]) for r in results})
    return hashlib.sha256(json.dumps(splits).encode()).hexdigest()[:12]


def _rows(entries, methods: list[str], domains: list[str], tuning: str | None, base: str) -> list:
    cells: dict[tuple, dict] = defaultdict(dict)
    zeros: dict[tuple, dict] = defaultdict(dict)
    against = base_metrics(entries, base)
    for folder, r in entries:
        cell = r["setting"], r["trainer"], r["domain"]
        cells[cell][r["seed"]] = r["metrics"]["test"]
        if folder in against:
            zeros[cell][r["seed"]] = against[folder]
    reported = [d for d in domains if d != tuning]
    rows = []
    for setting in SETTINGS:
        block = {}
        for method in methods:
            own = {d: cells.get((setting, method, d), {}) for d in domains}
            if any(own.values()):
                values = {d: _over_seeds(own[d]) for d in domains}
                values[MEAN] = _over_domains([own[d] for d in reported])
                block[method] = {"setting": setting, "method": method, "values": values}
        for method, row in block.items():
            row["marks"] = {d: _marks(block, method, d) for d in (*domains, MEAN)}
            if method != base:
                own = {d: zeros.get((setting, method, d), {}) for d in domains}
                zero = {d: _over_seeds(own[d]) for d in domains}
                zero[MEAN] = _over_domains([own[d] for d in reported])
                row["gain"] = {
                    d: {m: _minus(row["values"][d], zero[d], m) for m in METRICS}
                    for d in (*domains, MEAN)
                }
        rows += block.values()
    return rows


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
            found[folder] = {m: _mean([v.get(m) for v in values]) for m in METRICS}
    return found


def _on_images_of(folder: Path, base_folder: Path, base_result: dict) -> dict:
    """Test metrics in percent of a run, on the images that the run in `folder` was tested on."""
    outputs = cut(read_outputs(base_folder), read_outputs(folder)["test_paths"].tolist())
    labels, predictions, scores = (outputs[k] for k in ("test_labels", *COMPARED))
    known = base_result["counts"]["known_classes"]
    values = metrics.evaluate(labels, predictions, scores, known)
    return metrics.in_percent(values)


def _over_seeds(by_seed: dict[int, dict]) -> dict:
    """{metric: {"mean", "std", "seeds"}} of one cell; empty when there is no run."""
    return {m: _spread([v.get(m) for v in by_seed.values()]) for m in METRICS} if by_seed else {}


def _over_domains(cells: list[dict[int, dict]]) -> dict:
    """The same of each seed's mean over domains, from the seeds that every domain has."""
    if not cells or not all(cells):
        return {}
    seeds = set.intersection(*(set(c) for c in cells))
    return {
        m: _spread([_mean([c[s].get(m) for c in cells]) for s in sorted(seeds)]) for m in METRICS
    } if seeds else {}


def _mean(values: list) -> float | None:
    return None if None in values else float(np.mean(values))


def _spread(values: list) -> dict | None:
    if None in values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": std, "seeds": len(values)}


def _minus(a: dict, b: dict | None, metric: str) -> float | None:
    if not a or not b or a[metric] is None or b[metric] is None:
        return None
    return a[metric]["mean"] - b[metric]["mean"]


def _marks(block: dict[str, dict], method: str, domain: str) -> dict[str, int]:
    """{metric: 1 for the best, 2 for the second-best} of a cell, by what is printed: equal numbers
    have equal marks. Where all are equal none is best; of two only the best is marked."""
    marks = {}
    for metric in METRICS:
        sign = -1 if metric in LOWER_IS_BETTER else 1
        shown = {
            name: sign * round(row["values"][domain][metric]["mean"], 1)
            for name, row in block.items()
            if row["values"][domain] and row["values"][domain][metric]
        }
        if method in shown and len(set(shown.values())) > 1:
            rank = 1 + sum(value > shown[method] for value in shown.values())
            if rank == 1 or rank == 2 and len(shown) > 2:
                marks[metric] = rank
    return marks


def overall_gain(entries: list[Entry], method: str, base: str) -> dict | None:
    """Mean gain of `method` over `base` in points, over the domains and label spaces that both
    have, with its paired 95 % bootstrap interval over test images and each seed's gain. The tuning
    domain and the label space "all" stay out. None where nothing can be compared."""
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
    gains = mean_gains(ours, theirs, GAINS, RESAMPLES)
    against = base_metrics([e for e in entries if e[1]["trainer"] in runs], base)
    by_seed = {m: defaultdict(list) for m in GAINS}
    for cell in cells:
        for m in GAINS:
            for folder, r in runs[method][cell]:
                by_seed[m][r["seed"]].append(r["metrics"]["test"][m] - against[folder][m])
    result = {"method": method, "base": base, "cells": len(cells)}
    for m in GAINS:
        gain, bounds = gains[m]
        seeds = [float(np.mean(values)) for _, values in sorted(by_seed[m].items())]
        result[m] = {"gain": gain, "interval": bounds, "seeds": seeds}
    return result


def _by_domain(runs: dict[tuple, list[Entry]], cells: list[tuple]) -> dict[str, list]:
    """{domain: [(outputs, number of known classes)]} of the runs in `cells`."""
    found = defaultdict(list)
    for cell in cells:
        for folder, r in runs[cell]:
            found[cell[0]].append((read_outputs(folder), r["counts"]["known_classes"]))
    return found
