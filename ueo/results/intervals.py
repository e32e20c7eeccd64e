"""Bootstrap intervals of one run's metrics: how sure is a figure, given the tested images?

Images are drawn with replacement, of one run alone. Two methods are compared by bootstrap.py, on
the same draws: whether the intervals of two runs overlap says little.
"""

import numpy as np

from ueo.metrics import refuse_not_finite
from ueo.results.bootstrap import BLOCK, interval, resample_counts, weighted_auroc, weighted_pacc

Interval = tuple[float, float]


def weighted_fpr(
    is_id: np.ndarray, scores: np.ndarray, counts: np.ndarray, tpr: float = 0.95
) -> np.ndarray:
    """FPR at a TPR of at least `tpr`, (resamples,), in [0, 1].

    is_id, scores: (samples,); counts: (resamples, samples), how often each was drawn. NaN where not
    both kinds were.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores
    drawn, kind = counts[:, order].astype(np.float64), is_id[order]
    accepted_id, accepted_ood = (np.cumsum(drawn * of, axis=1)[:, last] for of in (kind, ~kind))
    at = np.argmax(accepted_id / accepted_id[:, -1:] >= tpr, axis=1)
    share = accepted_ood[np.arange(len(at)), at] / accepted_ood[:, -1]
    return np.where(accepted_id[:, -1] > 0, share, np.nan)


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


def intervals(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of pacc, auroc, fpr95 and oscr, in [0, 1]; those defined on the set.

    labels, predictions, scores: (samples,), labels below 0 are left out. A draw on which a metric
    is not defined, for want of one kind of images, does not count.
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
    return {name: interval(v, level) for name, v in drawn.items()}


def _block(labels, predictions, scores, known, counts) -> dict[str, np.ndarray]:
    with np.errstate(invalid="ignore", divide="ignore"):
        result = {"pacc": weighted_pacc(labels[known], predictions[known], counts[:, known])}
        if not known.all():
            right = known & (labels == predictions)
            result["auroc"] = weighted_auroc(known, scores, counts)
            result["fpr95"] = weighted_fpr(known, scores, counts)
            result["oscr"] = weighted_oscr(known, right, scores, counts)
    return result
