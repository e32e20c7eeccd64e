"""Bootstrap intervals of one run's metrics: how certain is a number, given the test images?

Images are drawn with replacement, for one run alone. To compare two methods, use bootstrap.py,
which takes the same draws for both: whether the intervals of two runs overlap says little.
"""

import numpy as np

from ueo.metrics import refuse_not_finite

Interval = tuple[float, float]

LEVEL = 0.95
BLOCK = 2_000_000  # counts in memory at once


def resample_counts(samples: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each image is drawn: (resamples, samples), rows sum to samples."""
    shares = np.full(samples, 1 / samples)
    return rng.multinomial(samples, shares, size=resamples).astype(np.float32)


def weighted_pacc(labels: np.ndarray, predictions: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean recall over the known classes drawn, (resamples,), in [0, 1]; NaN where none was.

    labels, predictions: (samples,) of known images alone; counts: (resamples, samples).
    """
    order = np.argsort(labels, kind="stable")
    starts = np.unique(labels[order], return_index=True)[1]
    sorted_counts = counts[:, order]
    drawn = np.add.reduceat(sorted_counts, starts, axis=1)  # (resamples, classes)
    right = np.add.reduceat(sorted_counts * (labels == predictions)[order], starts, axis=1)
    recall = np.divide(right, drawn, out=np.zeros_like(right), where=drawn > 0)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return recall.sum(1, dtype=np.float64) / (drawn > 0).sum(1)


def weighted_auroc(is_id: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Area under the ROC curve with ties counted half, (resamples,), in [0, 1]; NaN if only one
    kind was drawn.

    is_id, scores: (samples,); counts: (resamples, samples).
    """
    order = np.argsort(scores, kind="stable")
    starts = np.unique(scores[order], return_index=True)[1]
    sorted_counts, sorted_id = counts[:, order], is_id[order]
    positive, negative = sorted_counts * sorted_id, sorted_counts * ~sorted_id
    if len(starts) < len(scores):  # ties: one entry per distinct score
        positive = np.add.reduceat(positive, starts, axis=1)
        negative = np.add.reduceat(negative, starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    area = (positive * below).sum(1, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # 0 / 0
        return area / (positive.sum(1, dtype=np.float64) * negative.sum(1, dtype=np.float64))


def weighted_fpr(
    is_id: np.ndarray, scores: np.ndarray, counts: np.ndarray, tpr: float = 0.95
) -> np.ndarray:
    """FPR at a TPR of at least `tpr`, (resamples,), in [0, 1].

    is_id, scores: (samples,); counts: (resamples, samples), how often each was drawn. NaN if only
    one kind was.
    """
    order = np.argsort(-scores, kind="stable")
    known, others = order[is_id[order]], order[~is_id[order]]
    accepted, wrongly = (np.cumsum(counts[:, of], axis=1, dtype=np.float64)
                         for of in (known, others))
    with np.errstate(invalid="ignore"):  # 0 / 0
        at = np.argmax(accepted / accepted[:, -1:] >= tpr, axis=1)
        # ties with the last known image that is needed are accepted as well
        ends = np.searchsorted(-scores[others], -scores[known][at], side="right")
        share = np.where(ends > 0, wrongly[np.arange(len(at)), ends - 1], 0) / wrongly[:, -1]
    return np.where(accepted[:, -1] > 0, share, np.nan)


def weighted_oscr(
    known: np.ndarray, right: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """OSCR, (resamples,), in [0, 1]; see open_set.oscr.

    known, right: (samples,) bool, known images and those of them predicted right; scores:
    (samples,); counts: (resamples, samples).
    """
    part = right | ~known
    area = weighted_auroc(known[part], scores[part], counts[:, part])
    rights, knowns, others = (counts[:, of].sum(1) for of in (right, known, ~known))
    none_right = (rights == 0) & (knowns > 0) & (others > 0)
    return np.where(none_right, 0.0, rights / knowns.astype(np.float64) * area)


def interval(values: np.ndarray) -> Interval:
    """95 % percentile interval of resampled values. NaN (metric undefined) is left out."""
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def intervals(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % intervals of pacc, auroc, fpr95 and oscr, in [0, 1]; those defined on the set.

    labels, predictions, scores: (samples,), labels below 0 are left out. A draw that lacks one kind
    of images, so that a metric is undefined, does not count.
    """
    refuse_not_finite(scores)
    labelled = labels >= 0
    labels, predictions, scores = labels[labelled], predictions[labelled], scores[labelled]
    known = labels < num_known
    if not known.any():
        return {}
    rng, size = np.random.default_rng(seed), max(BLOCK // len(labels), 1)
    blocks = [
        _block(labels, predictions, scores, known, resample_counts(len(labels), draws, rng))
        for draws in np.diff([*range(0, resamples, size), resamples])
    ]
    drawn = {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}
    return {name: interval(v) for name, v in drawn.items()}


def _block(labels, predictions, scores, known, counts) -> dict[str, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        result = {"pacc": weighted_pacc(labels[known], predictions[known], counts[:, known])}
        if not known.all():
            right = known & (labels == predictions)
            result["auroc"] = weighted_auroc(known, scores, counts)
            result["fpr95"] = weighted_fpr(known, scores, counts)
            result["oscr"] = weighted_oscr(known, right, scores, counts)
    return result
