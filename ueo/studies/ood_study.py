"""Analysis of OOD scores after fine-tuning, from runs that kept their outputs.

An arm is a method with a number of shots. Its figures are means over domains, label spaces and
seeds; gains are paired on the same test images, with the intervals of bootstrap.py.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.bootstrap import Run, drawn_gains, estimate, mean_gains
from ueo.results.comparable import check_alike, check_inputs
from ueo.results.record import read_outputs, read_result
from ueo.studies.claims import claim, not_worse
from ueo.studies.scored_runs import ScoredRun, measure, read_run

MEASURED = ("auroc", "fpr95", "aupr", "aupr_out", "detection_accuracy", "oscr", "hos")
REFERENCE = "mcm"  # the score that the others are compared with
COMPARED = 8  # shots of the methods that UP-Adapter is compared with
RESAMPLES = 1000


@dataclass(frozen=True)
class Arm:
    """A method with `shots` images per class: labelled, or pseudo-labelled for UPL and UP-Adapter;
    0 if it takes none or all."""

    method: str
    shots: int = 0

    def __str__(self) -> str:
        return f"{self.method}, {self.shots}" if self.shots else self.method


Runs = dict[Arm, list[ScoredRun]]
Cells = dict[tuple[str, str], list[Run]]  # by (domain, label space)
ZERO = Arm(ZERO_SHOT)


def read_runs(
    folders: Iterable[tuple[Arm, str | Path]],
    read: Callable[[str | Path], ScoredRun] = read_run,
) -> Runs:
    """Return the finished runs of each arm that has any. Raise DataError if the runs differ in
    engine, device, weights or images, or the runs of one arm in their configuration."""
    found, entries = defaultdict(list), defaultdict(list)
    for arm, folder in folders:
        if (result := read_result(folder)) is not None:
            entries[arm].append((Path(folder), result))
            found[arm].append(read(folder))
    check_inputs(entry for own in entries.values() for entry in own)
    for own in entries.values():
        check_alike(own)
    return dict(found)


def read_reported(folder: str | Path) -> ScoredRun:
    """Return a finished run with its reported score only, which needs no kept outputs."""
    result, outputs = read_result(folder), read_outputs(folder)
    return ScoredRun(
        labels=outputs["test_labels"],
        predictions=outputs["test_predictions_after"],
        paths=outputs["test_paths"],
        num_known=result["counts"]["known_classes"],
        unlabelled_classes=set(),
        scores={REFERENCE: outputs["test_scores_after"]},
        result=result,
    )


def rows(runs: Runs) -> list[dict]:
    """Return a row per run and score: arm, domain, label space, seed, and metrics in percent."""
    found = []
    for arm, group in runs.items():
        for run in group:
            where = {key: run.result[key] for key in ("domain", "setting", "seed")}
            for score, values in measure(run).items():
                found.append({
                    "method": arm.method, "shots": arm.shots, **where, "score": score,
                    "pacc": values["pacc"], **{name: values[name] for name in MEASURED},
                })
    return found


def means(found: list[dict]) -> list[dict]:
    """Return a row per arm and score: means over runs within a domain, then over domains."""
    groups = defaultdict(list)
    for row in found:
        groups[row["method"], row["shots"], row["score"]].append(row)
    return [
        {"method": method, "shots": shots, "score": score,
         **{name: over_domains((row["domain"], row[name]) for row in group)
            for name in ("pacc", *MEASURED)}}
        for (method, shots, score), group in groups.items()
    ]


def with_intervals(found: list[dict], runs: Runs, resamples: int = RESAMPLES) -> list[dict]:
    """Return the rows of `means` with "intervals": {"pacc": (low, high), "auroc": ...}: the 95 %
    bootstrap intervals over test images, where defined."""
    arms = {(arm.method, arm.shots): group for arm, group in runs.items()}
    result = []
    for row in found:
        cells, intervals = _by_cell(arms[row["method"], row["shots"]], row["score"]), {}
        detected = _having_both(cells)
        parts = [(cells, ("pacc", "auroc"))]
        if len(detected) < len(cells):  # detection is defined in fewer label spaces
            parts = [(cells, ("pacc",)), (detected, ("auroc",))]
        for part, metrics in parts:
            drawn = drawn_gains(part, None, metrics, resamples) if part else {}
            intervals |= {m: estimate(values.values())[1] for m, values in drawn.items()}
        result.append({**row, "intervals": intervals})
    return result


def over_domains(values: Iterable[tuple[str, float | None]]) -> float | None:
    """Return the mean over domains of their mean values; ignore None. values: (domain, value)."""
    by_domain = defaultdict(list)
    for domain, value in values:
        by_domain[domain].append(value)
    return _mean([_mean(part) for part in by_domain.values()])


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


# paired gains


def gain(ours: list[ScoredRun], theirs: list[ScoredRun], our_score: str = REFERENCE,
         their_score: str = "", metric: str = "auroc") -> dict | None:
    """Return {"gain", "interval"} in percentage points, on the domains and label spaces that both
    ran on; None if the metric is defined on none. their_score: "" for the same score."""
    first, second = _by_cell(ours, our_score), _by_cell(theirs, their_score or our_score)
    if metric == "auroc":
        first, second = _having_both(first), _having_both(second)
    shared = [cell for cell in first if cell in second]
    if not shared:
        return None
    mean, interval = mean_gains(
        {cell: first[cell] for cell in shared}, {cell: second[cell] for cell in shared}, (metric,)
    )[metric]
    return {"gain": mean, "interval": list(interval)}


def _having_both(runs: Cells) -> Cells:
    """Return the cells that have both known and unknown images."""
    return {cell: group for cell, group in runs.items()
            if all((outputs["test_labels"] >= known).any() for outputs, known in group)}


def _by_cell(runs: list[ScoredRun], score: str) -> Cells:
    found = defaultdict(list)
    for run in runs:
        if score in run.scores:
            outputs = {
                "test_labels": run.labels,
                "test_predictions_after": run.predictions,
                "test_scores_after": run.scores[score],
                "test_paths": run.paths,
            }
            found[run.result["domain"], run.result["setting"]].append((outputs, run.num_known))
    return dict(found)


# claims


def best_score(found: list[dict], arm: Arm, without: tuple[str, ...] = ()) -> str | None:
    """Return the score with the highest mean AUROC of an arm."""
    own = {row["score"]: row["auroc"] for row in found
           if (row["method"], row["shots"]) == (arm.method, arm.shots)
           and row["auroc"] is not None and row["score"] not in without}
    return max(own, key=own.get) if own else None


def largest(runs: Iterable[Arm], method: str, at_most: int | None = None) -> Arm | None:
    """Return the arm of a method with the most shots, up to `at_most`."""
    arms = [arm for arm in runs if arm.method == method
            and (at_most is None or arm.shots <= at_most)]
    return max(arms, key=lambda arm: arm.shots, default=None)


def scores_compared(runs: Runs, found: list[dict]) -> list[dict]:
    """Return comparisons for claims.claim: MCM over the best other score after each method."""
    comparisons = []
    for method in dict.fromkeys(arm.method for arm in runs):
        arm = largest(runs, method)
        other = best_score(found, arm, (REFERENCE,))
        if other is not None:
            comparisons.append({"of": f"MCM over {other}, {arm}", "metric": "auroc",
                                **(gain(runs[arm], runs[arm], REFERENCE, other) or {})})
    return comparisons


def gains_of(runs: Runs, pairs: list[tuple[Arm | None, Arm | None]], metric: str) -> list[dict]:
    """Return comparisons for claims.claim: the first arm of each pair over the second."""
    return [
        {"of": f"{ours} over {theirs}", "metric": metric,
         **(gain(runs[ours], runs[theirs], metric=metric) or {})}
        for ours, theirs in pairs if ours in runs and theirs in runs
    ]


def by_domain(runs: Runs) -> list[dict]:
    """Return comparisons of UP-Adapter with the others on each domain, with their "domain"."""
    domains = dict.fromkeys(run.result["domain"] for group in runs.values() for run in group)
    found = []
    for domain in domains:
        here = {arm: [run for run in group if run.result["domain"] == domain]
                for arm, group in runs.items()}
        here = {arm: group for arm, group in here.items() if group}
        for metric in ("pacc", "auroc"):
            found += [{"domain": domain, **comparison}
                      for comparison in gains_of(here, beside_up_adapter(here), metric)]
    return found


def beside_up_adapter(group: Iterable[Arm]) -> list[tuple[Arm | None, Arm | None]]:
    """Return pairs: UP-Adapter with the most images per class, and an arm to compare it with."""
    ours = largest(group, "UPAdapter")
    others = [ZERO, *(largest(group, m, COMPARED) for m in ("CoOp", "TipAdapter")),
              largest(group, "UPL")]
    return [(ours, other) for other in others]


def claims(runs: Runs, found: list[dict], shifted: Runs | None = None) -> list[dict]:
    """Return the claims of the two papers with our measurements. found: from `means`; shifted: runs
    tested on domains that they were not adapted to."""
    zero_shot_beaten = [(largest(runs, m), ZERO) for m in ("CoOp", "CoCoOp", "UPL", "UEO")]
    result = [
        claim("MCM is consistently the right OOD score after fine-tuning",
              scores_compared(runs, found), not_worse),
        claim("prompt learning detects OOD images better than zero-shot CLIP",
              gains_of(runs, zero_shot_beaten, "auroc")),
        claim(f"UP-Adapter beats {COMPARED}-shot CoOp, {COMPARED}-shot Tip-Adapter, UPL, zero-shot "
              "CLIP", gains_of(runs, beside_up_adapter(runs), "pacc")),
    ]
    if shifted:
        result.append(claim("UP-Adapter beats them on domains that it was not adapted to",
                            gains_of(shifted, beside_up_adapter(shifted), "pacc")))
    return result
