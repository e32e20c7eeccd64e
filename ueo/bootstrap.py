"""Paired bootstrap over test images: how sure is a gain of one method over another?

One resample draws the images of a domain once and applies to every run on it, so that methods,
label spaces and seeds are compared on the same images. PACC and AUROC are computed from counts of
how often each image was drawn, exactly as on the repeated images.
"""

from collections.abc import Mapping

import numpy as np

Outputs = Mapping[str, np.ndarray]


def resample_counts(samples: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each image is drawn: (resamples, samples), rows sum to samples."""
    shares = np.full(samples, 1 / samples)
    return rng.multinomial(samples, shares, size=resamples).astype(np.float64)


def weighted_pacc(labels: np.ndarray, predictions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean recall over the known classes drawn, (resamples,), in [0, 1].

    labels, predictions: (samples,) of known images alone; counts: (resamples, samples).
    """
    classes, index = np.unique(labels, return_inverse=True)
    member = np.eye(len(classes))[index]  # (samples, classes)
    drawn = counts @ member
    right = (counts * (labels == predictions)) @ member
    recall = np.divide(right, drawn, out=np.zeros_like(right), where=drawn > 0)
    return recall.sum(1) / (drawn > 0).sum(1)


def weighted_auroc(is_id: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve with ties counted half, (resamples,), in [0, 1].

    is_id, scores: (samples,); counts: (resamples, samples).
    """
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    positive = np.add.reduceat((counts * is_id)[:, order], starts, axis=1)  # by distinct score
    negative = np.add.reduceat((counts * ~is_id)[:, order], starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    area = (positive * (below + negative / 2)).sum(1)
    return area / (positive.sum(1) * negative.sum(1))


def resampled(outputs: Outputs, num_known: int, counts: np.ndarray) -> dict[str, np.ndarray]:
    """PACC and AUROC of one run's final test outputs on each resample, each (resamples,)."""
    labels = outputs["test_labels"]
    known = labels < num_known
    result = {
        "pacc": weighted_pacc(
            labels[known], outputs["test_predictions_after"][known], counts[:, known]
        )
    }
    if not known.all():
        result["auroc"] = weighted_auroc(known, outputs["test_scores_after"], counts)
    return result


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_gain(
    runs: Mapping[str, list[tuple[Outputs, int]]],
    base: Mapping[str, list[tuple[Outputs, int]]],
    metric: str,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    """Mean gain of `runs` over `base` with its paired 95 % interval, in points of percent.

    Both map a domain to its runs, each (outputs, number of known classes). A domain counts once,
    whatever its number of runs; domains are resampled independently of each other.
    """
    rng = np.random.default_rng(seed)
    gains, points = [], []
    for domain in runs:
        samples = len(runs[domain][0][0]["test_labels"])
        counts = np.vstack([np.ones(samples), resample_counts(samples, resamples, rng)])
        difference = _mean(runs[domain], metric, counts) - _mean(base[domain], metric, counts)
        points.append(difference[0])
        gains.append(difference[1:])
    low, high = interval(100 * np.mean(gains, axis=0))
    return float(100 * np.mean(points)), (low, high)


def _mean(runs: list[tuple[Outputs, int]], metric: str, counts: np.ndarray) -> np.ndarray:
    return np.mean([resampled(outputs, known, counts)[metric] for outputs, known in runs], axis=0)
