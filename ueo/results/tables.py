"""Tables made from records: methods and label spaces down, domains across.

Data first: `summarise` turns records into plain numbers, ueo.results.render turns those into text.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from ueo.clip.backbones import name_in_tables
from ueo.images.class_names import doubts
from ueo.inputs import FILES, Inputs
from ueo.label_space import SETTINGS
from ueo.results.comparable import Entry, check_comparable
from ueo.results.coverage import uneven
from ueo.results.gains import METRICS, mean, on_same_images, overall_gain
from ueo.results.record import score_of
from ueo.text import base_name, without_folders, written

FEW = 50  # test images, below which a percentile interval is known to be too narrow
LOWER_IS_BETTER = ("fpr95", "ece")
MEAN = "mean"


def summarise(
    entries: list[Entry], base: str, without: Iterable[tuple[str, str, str, int]] = ()
) -> dict:
    """Return the numbers of the table of one data set: for each label space, method and domain,
    each metric's mean and standard deviation over seeds in percent, and the gain over `base`.

    The mean over domains leaves out the tuning domain; its spread is that of the seeds' means.
    without: runs that were asked for and have no record, see `coverage.uneven`.
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
        "shots": {r["trainer"]: shots for r in results if r.get("uses_labels")
                  and (shots := r["config"].get("DATASET.NUM_SHOTS")) is not None},
        "read_labels": sorted({r["trainer"] for r in results if r.get("reads_labels")}),
        "scores": {r["trainer"]: score_of(r) for r in results},
        "set_by_hand": {m: _by_hand(r for r in results if r["trainer"] == m) for m in methods},
        "domains": domains,
        "tuning_domain": tuning if tuning in domains else None,
        "as_published": _as_published(results),
        "skipped_images": len({i for r in results for i in r.get("skipped_images", {})}),
        "few_images": {r["domain"]: tested for r in results
                       if (tested := r["counts"].get("test", FEW)) < FEW},
        "doubts": doubts(results),
        "uneven": uneven(((r["trainer"], r) for r in results), without),
        "rows": rows,
        "overall": [
            gain for m in methods if m != base and (gain := overall_gain(entries, m, base))
        ],
    }


def _by_hand(results: Iterable[dict]) -> dict[str, str]:
    """{key: its value} of one method's departures from its recipe. Its runs were configured alike,
    but older records do not hold what was set by hand."""
    return {key: _without_folders(key, value, result["inputs"]) for result in results
            for key, (value, _) in result.get("set_by_hand", {}).items()}


def _without_folders(key: str, value, inputs: Inputs) -> str:
    """An option's value in words. A file (a key of FILES or `inputs`) loses its folder."""
    if key == "MODEL.BACKBONE.NAME":
        return name_in_tables(value)
    words = written(value)
    return base_name(words) if key in FILES or key in inputs else without_folders(words)


def _as_published(results: list[dict]) -> bool | None:
    """Whether every run had the published number of images; None if that is unknown."""
    found = {r.get("published_counts") for r in results}
    return False if False in found else None if None in found else True


def _split(results: list[dict]) -> str:
    """One short hash of the splits of everything shown."""
    splits = sorted({(r["domain"], r["setting"], r["split_hash"]) for r in results})
    return hashlib.sha256(json.dumps(splits).encode()).hexdigest()[:12]


def _rows(entries, methods: list[str], domains: list[str], tuning: str | None, base: str) -> list:
    cells: dict[tuple, dict] = defaultdict(dict)
    pairs: dict[tuple, dict] = defaultdict(dict)
    compared = on_same_images(entries, base)
    for folder, r in entries:
        cell = r["setting"], r["trainer"], r["domain"]
        cells[cell][r["seed"]] = r["metrics"]["test"]
        if folder in compared:
            pairs[cell][r["seed"]] = compared[folder]
    reported = [d for d in domains if d != tuning]
    rows = []
    for setting in SETTINGS:
        block = {}
        for method in methods:
            own = {d: cells.get((setting, method, d), {}) for d in domains}
            if any(own.values()):
                values = _with_mean(own, reported)
                block[method] = {"setting": setting, "method": method, "values": values}
        for method, row in block.items():
            row["marks"] = {d: _marks(block, method, d) for d in (*domains, MEAN)}
            if method != base:
                own = {d: pairs.get((setting, method, d), {}) for d in domains}
                row["gain"] = _gains(own, reported)
        rows += block.values()
    return rows


def _gains(pairs: dict[str, dict[int, tuple[dict, dict]]], reported: list[str]) -> dict[str, dict]:
    """{domain or MEAN: {metric: gain}}. pairs: {domain: {seed: (a method's metrics, the base's)}}.
    """
    ours, theirs = (
        _with_mean({d: {seed: pair[side] for seed, pair in by_seed.items()}
                    for d, by_seed in pairs.items()}, reported)
        for side in (0, 1)
    )
    return {d: {m: _minus(ours[d], theirs[d], m) for m in METRICS} for d in ours}


def _with_mean(by_domain: dict[str, dict[int, dict]], reported: list[str]) -> dict[str, dict]:
    """A row's values in each domain, and in the mean over the reported ones."""
    return {d: _over_seeds(by_seed) for d, by_seed in by_domain.items()} | {
        MEAN: _over_domains([by_domain[d] for d in reported])}


def _over_seeds(by_seed: dict[int, dict]) -> dict:
    """{metric: {"mean", "std", "seeds"}} of one cell; empty when there is no run."""
    return {m: _spread([v.get(m) for v in by_seed.values()]) for m in METRICS} if by_seed else {}


def _over_domains(cells: list[dict[int, dict]]) -> dict:
    """The same for each seed's mean over domains, from the seeds that every domain has."""
    if not cells or not all(cells):
        return {}
    seeds = set.intersection(*(set(c) for c in cells))
    return {
        m: _spread([mean([c[s].get(m) for c in cells]) for s in sorted(seeds)]) for m in METRICS
    } if seeds else {}


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
    """{metric: 1 for the best, 2 for the second-best} of a cell, by printed numbers: equal ones get
    equal marks. If all are equal none is best; of two only the best is marked."""
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
