"""Compute metrics of a run from its outputs.npz, and check that its record has the same ones."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ueo import metrics
from ueo.errors import DataError
from ueo.open_set import h_score
from ueo.results.record import AGAIN, NEEDED, OUTPUTS, RESULT, read_outputs, read_threshold

CONFIDENCES = "test_confidences_after"
MARGINS = "test_margins_after"  # of a stream: scores minus each image's own threshold
LATER = ("h_score", "ece")  # records of earlier versions lack them
ROUNDING = 1e-4  # points, between versions of the libraries


def measure(
    folder: str | Path,
    outputs: dict[str, np.ndarray],
    num_known: int,
    rows: Sequence[int] | slice = slice(None),
) -> dict[str, float | None]:
    """Metrics in percent of the run in `folder` on these rows of its test images, without those of
    LATER that its files lack. outputs: from `read_outputs`."""
    labels, predictions, scores = (outputs[name][rows] for name in NEEDED[:3])
    confidences = outputs[CONFIDENCES][rows] if CONFIDENCES in outputs else None
    found = metrics.evaluate(labels, predictions, scores, num_known, confidences=confidences)
    if threshold := read_threshold(folder):
        found["h_score"] = h_score_of(outputs, num_known, threshold[1], rows)
    return metrics.in_percent(found)


def h_score_of(
    outputs: dict[str, np.ndarray], num_known: int, threshold: float | None,
    rows: Sequence[int] | slice = slice(None),
) -> float | None:
    """The H-score by one threshold, or, of a stream, by each image's own."""
    labels, predictions = (outputs[name][rows] for name in NEEDED[:2])
    if MARGINS in outputs:
        return h_score(labels, predictions, outputs[MARGINS][rows], num_known, 0.0)
    return h_score(labels, predictions, outputs[NEEDED[2]][rows], num_known, threshold)


def check_outputs(folder: str | Path, result: dict) -> None:
    """Raise DataError, naming the file, if outputs.npz is missing or damaged, or differs from
    result.json in the number of test images or their metrics."""
    outputs, file = read_outputs(folder), Path(folder, OUTPUTS)
    images, counted = len(outputs["test_labels"]), result["counts"]["test"]
    if images != counted:
        raise DataError(f"{file}: holds {images} test images, {RESULT} counts {counted}; {AGAIN}")
    try:
        found = measure(folder, outputs, result["counts"]["known_classes"])
    except FloatingPointError as error:
        raise DataError(f"{file}: {error}; {AGAIN}") from error
    recorded = result["metrics"]["test"]
    for name, value in found.items():
        if name in LATER and name not in recorded:
            continue
        if not _same(value, recorded.get(name)):
            raise DataError(
                f"{file}: gives {name} {_words(value)} of the test set, {RESULT} says "
                f"{_words(recorded.get(name))}; {AGAIN}"
            )


def _same(value: float | None, recorded: float | None) -> bool:
    if value is None or recorded is None:
        return value is recorded
    return math.isclose(value, recorded, abs_tol=ROUNDING)


def _words(percent: float | None) -> str:
    return "not defined" if percent is None else f"{percent:.4f}"
