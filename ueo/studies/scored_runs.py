"""Compute any OOD score and metric of a finished run from its kept outputs, without a new run.

    run = read_run(folder)                      # a run made with TEST.KEEP_OUTPUTS True
    run.scores                                  # {"mcm": (images,), ..., "knn": (images,)}
    measure(run)["knn"]["auroc"]                # percent
    measure_intervals(run, "knn")["auroc"]      # (low, high), percent

A score with other parameters needs another name:

    more = {"mcm at 0.01": Score(functools.partial(mcm, temperature=0.01)),
            "energy of logits": at_own_scale(energy)}
    read_run(folder, scores={**ALL_SCORES, **more})
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ueo import open_set
from ueo.errors import DataError
from ueo.images.lists import NO_LABEL
from ueo.metrics import in_percent, percent
from ueo.results import intervals
from ueo.results.kept_outputs import read_kept
from ueo.results.record import read_outputs, read_result
from ueo.scores import ALL_SCORES, Score


@dataclass(frozen=True)
class ScoredRun:
    """The test images of a run, with every score.

    labels, predictions, paths: (images,). num_known: K. unlabelled_classes: labels in the
    unlabelled set. scores: {name: (images,)}, fp64. result: result.json of the run.
    """

    labels: np.ndarray
    predictions: np.ndarray
    paths: np.ndarray
    num_known: int
    unlabelled_classes: set[int]
    scores: dict[str, np.ndarray]
    result: dict


def compute_scores(
    kept: Mapping[str, np.ndarray], scores: Mapping[str, Score] = ALL_SCORES
) -> dict[str, np.ndarray]:
    """Return {name: (images,)} in fp64, of the scores whose inputs were all kept.

    kept: from read_kept. A model with image-specific prompts has no local scores.
    """
    tensors = {
        name: torch.from_numpy(array.astype(np.int64 if array.dtype.kind == "i" else np.float64))
        for name, array in kept.items()
    }
    return {
        name: score.function(*(tensors[need] for need in score.needs)).numpy()
        for name, score in scores.items()
        if all(need in tensors for need in score.needs)
    }


def read_run(
    folder: str | Path, when: str = "after", scores: Mapping[str, Score] = ALL_SCORES
) -> ScoredRun:
    """Return a finished run's test images with scores. when: "before" or "after" training.

    Raise DataError if the folder has no finished run, or if the run kept no outputs.
    """
    result = read_result(folder)
    if result is None:
        raise DataError(f"{folder}: holds no finished run")
    outputs, kept = read_outputs(folder), read_kept(folder, when)
    labels = outputs["test_labels"]
    if len(kept["cosines"]) != len(labels):
        raise DataError(
            f"{folder}: features.npz has {len(kept['cosines'])} test images, outputs.npz "
            f"{len(labels)}; run again with --overwrite"
        )
    return ScoredRun(
        labels=labels,
        predictions=outputs[f"test_predictions_{when}"],
        paths=outputs["test_paths"],
        num_known=result["counts"]["known_classes"],
        unlabelled_classes=set(outputs["unlabelled_labels"].tolist()) - {NO_LABEL},
        scores=compute_scores(kept, scores),
        result=result,
    )


def measure(run: ScoredRun) -> dict[str, dict[str, float | None]]:
    """Return {score: {metric: percent or None}}, named as in result.json; `threshold` is in the
    score's unit. Raise FloatingPointError with the name of a score that is not finite."""
    return {name: _measure(run, name) for name in run.scores}


def _measure(run: ScoredRun, name: str) -> dict[str, float | None]:
    try:
        values = open_set.evaluate_all(
            run.labels, run.predictions, run.scores[name], run.num_known, run.unlabelled_classes
        )
    except FloatingPointError as error:
        raise FloatingPointError(f"score {name}: {error}") from error
    threshold = values.pop("threshold")
    return {**in_percent(values), "threshold": threshold}


def measure_intervals(
    run: ScoredRun, name: str, resamples: int = 1000, seed: int = 0
) -> dict[str, intervals.Interval]:
    """Return {metric: 95 % interval in percent} of one score: pacc, auroc, fpr95, oscr."""
    found = intervals.intervals(
        run.labels, run.predictions, run.scores[name], run.num_known, resamples, seed
    )
    return {metric: (percent(low), percent(high)) for metric, (low, high) in found.items()}
