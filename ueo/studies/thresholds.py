"""Compare thresholds that are chosen without labels with the best one by labels.

    bash scripts/ueo/main.sh emoji --tables-only --thresholds

prints a table for the tuning domain, if it was run, and one for the others: the H-score and, in
brackets, the recall of known classes after rejection (os_star) and the share of rejected unknown
images (unk), in percent.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

from ueo.label_space import STANDARD_SETTINGS
from ueo.open_set import THRESHOLDS, at_threshold, separation, thresholds
from ueo.results.coverage import sentence, uneven
from ueo.results.record import read_outputs, read_result
from ueo.text import shown

BEST, APART = "best by labels", "separation"
FIGURES = ("hos", "os_star", "unk")
MOST = 1000  # candidates for the best threshold


def measure(outputs: dict[str, np.ndarray], num_known: int) -> dict[str, dict[str, float]]:
    """Return {rule or BEST: {figure: share}} on the test images, and {APART: {APART: separation of
    the scores}}. The rules read the scores of unlabelled images. outputs: as in outputs.npz."""
    labels, scores = outputs["test_labels"], outputs["test_scores_after"]
    unlabelled = outputs["unlabelled_scores_after"]

    def figures(threshold: float | None) -> dict[str, float]:
        predictions = outputs["test_predictions_after"]
        found = at_threshold(labels, predictions, scores, num_known, threshold)
        return {name: found[name] for name in FIGURES}

    rules = thresholds(unlabelled, outputs["unlabelled_scores_before"])
    candidates = np.unique(scores)
    candidates = candidates[:: -(-len(candidates) // MOST)]
    return {
        BEST: max(map(figures, candidates), key=lambda found: found["hos"]),
        **{name: figures(threshold) for name, threshold in rules.items()},
        APART: {APART: separation(unlabelled)},
    }


def measured_runs(folders: Iterable[str | Path]) -> Iterator[tuple[dict, dict]]:
    """Yield (record, its `measure`) of each finished run whose test images are all labelled and
    include both known and unknown classes."""
    for folder in folders:
        if (result := read_result(folder)) is None:
            continue
        outputs, known = read_outputs(folder), result["counts"]["known_classes"]
        labels = outputs["test_labels"]
        if (labels >= 0).all() and (labels >= known).any() and (labels < known).any():
            yield result, measure(outputs, known)


def mean_figures(runs: Iterable[tuple[dict, dict]]) -> dict[tuple[str, str], dict]:
    """Return {(label space, trainer): figures of `measure`}, means over seeds, then domains."""
    domains = defaultdict(lambda: defaultdict(list))
    for result, found in runs:
        domains[result["setting"], result["trainer"]][result["domain"]].append(found)
    order = {setting: i for i, setting in enumerate(STANDARD_SETTINGS)}
    keys = sorted(domains, key=lambda key: (order.get(key[0], len(order)), key[1] == "UEO", key[1]))
    return {key: _mean([_mean(seeds) for seeds in domains[key].values()]) for key in keys}


def table(figures: dict[tuple[str, str], dict]) -> str:
    """Return a Markdown table of the result of `mean_figures`."""
    rules = (BEST, *THRESHOLDS)
    rows = [
        [setting, shown(trainer), *(_cell(found[rule]) for rule in rules),
         f"{found[APART][APART]:.2f}"]
        for (setting, trainer), found in figures.items()
    ]
    return tabulate(rows, ["label space", "method", *rules, APART], "github", disable_numparse=True)


def _mean(measured: list[dict]) -> dict:
    return {rule: {name: float(np.mean([m[rule][name] for m in measured])) for name in figures}
            for rule, figures in measured[0].items()}


def _cell(found: dict[str, float]) -> str:
    hos, os_star, unk = (f"{100 * found[name]:.1f}" for name in FIGURES)
    return f"{hos} ({os_star} / {unk})"


def tables(folders: Iterable[str | Path]) -> str:
    """Return the tables of the tuning domain and of the others, for runs on one data set; or a
    sentence that nothing can be measured."""
    runs = list(measured_runs(folders))
    tuning = [pair for pair in runs if pair[0]["domain"] == pair[0]["tuning_domain"]]
    others = [pair for pair in runs if pair[0]["domain"] != pair[0]["tuning_domain"]]
    parts = []
    for part in filter(None, (tuning, others)):
        domains = shown(", ".join(sorted({result["domain"] for result, _ in part})))
        parts.append(f"{domains}: H-score (os_star / unk), percent\n\n{table(mean_figures(part))}")
        missing = uneven((result["trainer"], result) for result, _ in part)
        parts += filter(None, [shown(sentence(missing, "Means are over the runs that exist."))])
    return "\n\n".join(parts) or ("No threshold is measured: no finished run has labelled test "
                                  "images of both known and unknown classes")
