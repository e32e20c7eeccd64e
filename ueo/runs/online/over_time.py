"""Metrics over the time of a stream, from the outputs of its run alone."""

import numpy as np

from ueo.metrics import auroc, global_accuracy, percent
from ueo.open_set import h_score, otsu_threshold

WINDOW = 512  # number of scores that a threshold is found on, as in AdaND (ICLR 2025)
POINTS = 20  # points in time


def thresholds_so_far(scores: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(images,): the threshold for each image, by Otsu's rule on the last WINDOW scores when its
    batch is predicted, all scores of that batch included.

    scores: (images,), in order of arrival; ends: (batches,), cumulative numbers of images.
    """
    found, start = np.empty(len(scores)), 0
    for end in ends:
        found[start:end] = otsu_threshold(scores[max(min(end - WINDOW, start), 0):end])
        start = end
    return found


def over_time(
    labels: np.ndarray, predictions: np.ndarray, margins: np.ndarray, scores: np.ndarray,
    num_known: int,
) -> list[dict]:
    """At POINTS times, {"images": how many have arrived, "so_far": metrics of all these, "lately":
    metrics of those since the previous time}, in percent; None if undefined.

    All arguments but num_known: (images,), in order of arrival. margins: scores minus thresholds.
    """
    ends = np.unique(np.linspace(0, len(labels), POINTS + 1).round().astype(int))
    found = []
    for start, end in zip(ends, ends[1:]):
        parts = {"so_far": slice(0, end), "lately": slice(start, end)}
        found.append({"images": int(end), **{
            name: _measure(labels[at], predictions[at], margins[at], scores[at], num_known)
            for name, at in parts.items()
        }})
    return found


def _measure(labels, predictions, margins, scores, num_known: int) -> dict[str, float | None]:
    known, labelled = (labels >= 0) & (labels < num_known), labels >= 0
    return {
        "accuracy": percent(global_accuracy(labels[known], predictions[known])),
        "auroc": percent(auroc(known[labelled], scores[labelled])),
        "h_score": percent(h_score(labels, predictions, margins, num_known, 0.0)),
    }
