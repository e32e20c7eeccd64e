"""Tables made from records: methods and label spaces down, domains across, two metrics a cell.

Data first: `summarise` turns records into plain numbers, `render` turns those into text.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
from tabulate import tabulate

from ueo.bootstrap import mean_gain
from ueo.errors import DataError
from ueo.record import read_outputs

METRICS = ("pacc", "auroc")
MEAN = "mean"
SETTINGS = ("closed", "partial", "open", "open_partial", "all")  # their order in tables

Entry = tuple[Path, dict]  # folder and result.json of a run


def check_comparable(entries: list[Entry]) -> None:
    """Raise DataError when runs of one domain and label space saw different images, or engines."""
    seen: dict[tuple, tuple] = {}
    for folder, result in entries:
        key = tuple(result[k] for k in ("dataset", "domain", "setting"))
        what = (result["split_hash"], result["protocol"], result["environment"]["engine"])
        other, origin = seen.setdefault(key, (what, folder))
        if other != what:
            raise DataError(
                f"{folder} and {origin} cannot stand in one table: (split, protocol, engine) are "
                f"{what} and {other}"
            )


def summarise(entries: list[Entry], base: str) -> dict:
    """Numbers of the table: for each method, label space and domain the mean and the standard
    deviation over seeds of each metric in percent, and the gain over the method `base`.

    The mean over domains leaves out the tuning domain; its spread is that of the seeds' means.
    """
    check_comparable(entries)
    first = entries[0][1]
    tuning = first["tuning_domain"]
    present = {r["domain"] for _, r in entries}
    domains = [d for d in first["domains"] if d in present]
    reported = [d for d in domains if d != tuning]
    cells: dict[tuple, dict] = defaultdict(dict)
    for _, r in entries:
        cells[r["trainer"], r["setting"], r["domain"]][r["seed"]] = r["metrics"]["test"]
    methods = sorted({r["trainer"] for _, r in entries}, key=lambda m: (m != base, m))
    settings = [s for s in SETTINGS if any(r["setting"] == s for _, r in entries)]
    rows = []
    for setting in settings:
        for method in methods:
            values = {d: _over_seeds(cells[method, setting, d]) for d in domains}
            values[MEAN] = _over_domains([cells[method, setting, d] for d in reported])
            rows.append({"setting": setting, "method": method, "values": values})
        zero = {d: _over_seeds(cells[base, setting, d]) for d in domains}
        zero[MEAN] = _over_domains([cells[base, setting, d] for d in reported])
        for row in rows[-len(methods) :]:
            if row["method"] != base:
                row["gain"] = {
                    d: {m: _minus(row["values"][d], zero[d], m) for m in METRICS} for d in zero
                }
    return {
        "dataset": first["dataset"],
        "backbone": first["backbone"],
        "protocol": first["protocol"],
        "base": base,
        "domains": domains,
        "tuning_domain": tuning if tuning in domains else None,
        "rows": rows,
    }


def _over_seeds(by_seed: dict[int, dict]) -> dict:
    """{metric: {"mean", "std", "seeds"}} of one cell; empty when there is no run."""
    return {m: _spread([v[m] for v in by_seed.values()]) for m in METRICS} if by_seed else {}


def _over_domains(cells: list[dict[int, dict]]) -> dict:
    """The same of each seed's mean over domains, from the seeds that every domain has."""
    if not cells or not all(cells):
        return {}
    seeds = set.intersection(*(set(c) for c in cells))
    return {
        m: _spread([_mean([c[s][m] for c in cells]) for s in sorted(seeds)]) for m in METRICS
    } if seeds else {}


def _mean(values: list) -> float | None:
    return None if None in values else float(np.mean(values))


def _spread(values: list) -> dict | None:
    if None in values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": std, "seeds": len(values)}


def _minus(a: dict, b: dict, metric: str) -> float | None:
    if not a or not b or a[metric] is None or b[metric] is None:
        return None
    return a[metric]["mean"] - b[metric]["mean"]


def overall_gain(entries: list[Entry], method: str, base: str) -> dict:
    """Mean gain of `method` over `base` in points over all reported domains and label spaces, with
    its paired 95 % bootstrap interval over test images and the spread of the seeds' gains."""
    runs, bases = defaultdict(list), defaultdict(list)
    seeds: dict[str, dict] = {m: defaultdict(list) for m in METRICS}
    reference = {
        (r["domain"], r["setting"]): r for _, r in entries if r["trainer"] == base
    }
    for folder, r in entries:
        key = r["domain"], r["setting"]
        if r["domain"] == r["tuning_domain"] or key not in reference or r["setting"] == "all":
            continue
        target = {method: runs, base: bases}.get(r["trainer"])
        if target is not None:
            known = r["counts"]["known_classes"]
            target[r["domain"]].append((read_outputs(folder), known))
        if r["trainer"] == method:
            for m in METRICS:
                seeds[m][r["seed"]].append(
                    r["metrics"]["test"][m] - reference[key]["metrics"]["test"][m]
                )
    result = {"method": method, "base": base}
    for m in METRICS:
        gain, bounds = mean_gain(runs, bases, m)
        by_seed = [float(np.mean(v)) for v in seeds[m].values()]
        result[m] = {"gain": gain, "interval": bounds, "seeds": by_seed}
    return result


def render(summary: dict, style: str = "simple") -> str:
    """The table as text; `style` is one of tabulate's ("simple", "github", ...)."""
    columns = [*summary["domains"], MEAN]
    marks = {d: d + ("*" if d == summary["tuning_domain"] else "") for d in columns}
    rows, last = [], None
    for row in summary["rows"]:
        setting = row["setting"] if row["setting"] != last else ""
        last = row["setting"]
        rows.append([setting, row["method"], *(_cell(row["values"][d]) for d in columns)])
        if "gain" in row:
            rows.append(["", "  gain", *(_gain(row["gain"][d]) for d in columns)])
    headers = ["label space", "method", *(marks[d] for d in columns)]
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True)


def caption(summary: dict) -> str:
    """What the table shows, in a sentence or two."""
    text = (
        f"{summary['dataset']}, {summary['backbone']}, protocol {summary['protocol']}: "
        f"PACC / AUROC in percent on the test set, mean±standard deviation over seeds; gain over "
        f"{summary['base']} in points."
    )
    if summary["tuning_domain"]:
        text += f" * hyper-parameters were chosen on this domain; it is left out of the {MEAN}."
    return text


def _cell(value: dict) -> str:
    if not value:
        return "-"
    return " / ".join("-" if value[m] is None else _number(value[m]) for m in METRICS)


def _number(value: dict) -> str:
    spread = "" if value["std"] is None else f"±{value['std']:.1f}"
    return f"{value['mean']:.1f}{spread}"


def _gain(value: dict) -> str:
    return " / ".join("-" if value[m] is None else f"{value[m]:+.1f}" for m in METRICS)


def gain_sentence(gain: dict) -> str:
    """One sentence an overall gain, interval and seeds included."""
    parts = []
    for m in METRICS:
        low, high = gain[m]["interval"]
        seeds = ", ".join(f"{s:+.2f}" for s in gain[m]["seeds"])
        parts.append(
            f"{m.upper()} {gain[m]['gain']:+.2f} points [{low:+.2f}, {high:+.2f}] (seeds {seeds})"
        )
    return (
        f"{gain['method']} over {gain['base']}, mean over domains and label spaces, paired 95 % "
        f"bootstrap interval over test images: " + "; ".join(parts)
    )
