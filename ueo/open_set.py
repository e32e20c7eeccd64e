"""Metrics of a study: more of detection, and recognition with the right to refuse an image.

Conventions are those of metrics.py: ID is positive, larger scores mean more ID, labels from
`num_known` on are OOD, results lie in [0, 1], None where not defined, and a score that is not
finite raises FloatingPointError. An image is accepted as known if its score is at least the
threshold.
"""

import numpy as np

from ueo.metrics import (
    aupr,
    auroc,
    evaluate,
    harmonic_mean,
    per_class_accuracy,
    refuse_not_finite,
)

REFUSED = -1  # in the place of a predicted class


def aupr_out(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision with OOD as the positive class. is_id: (samples,) bool; scores: alike."""
    return aupr(~is_id, -scores)


def detection_accuracy(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """max over thresholds of (TPR + TNR) / 2, one minus the detection error of Liang et al. (ICLR
    2018). The threshold is chosen by the labels: a bound, and no lower than 0.5."""
    if auroc(is_id, scores) is None:
        return None
    from sklearn.metrics import roc_curve  # here, because it takes half a second to import

    false_positive, true_positive, _ = roc_curve(is_id, scores, drop_intermediate=False)
    return float((true_positive + 1 - false_positive).max() / 2)


def oscr(
    labels: np.ndarray, predictions: np.ndarray, scores: np.ndarray, num_known: int
) -> float | None:
    """Open-set classification rate (Dhamija et al., NeurIPS 2018): area under the share of known
    images accepted and predicted right (CCR) against the share of OOD images accepted (FPR).

    labels, predictions, scores: (samples,). CCR is the accuracy on known images times the share of
    the right ones that is accepted, so the area is that accuracy times an AUROC, of the known
    images predicted right against the OOD ones.
    """
    refuse_not_finite(scores)
    known = labels < num_known
    if not known.any() or known.all():
        return None
    right = known & (labels == predictions)
    part = right | ~known
    return float(right.sum() / known.sum()) * (auroc(known[part], scores[part]) or 0.0)


def otsu_threshold(scores: np.ndarray) -> float:
    """The threshold that parts the scores (samples,) into two groups with the largest variance
    between their means (Otsu, 1979): the smallest score of the upper group.

    # choice: UniDA's metrics need a threshold, and none may be tuned by labels. Otsu's rule reads
    # scores alone, fits any score whatever its range, and has no parameter. It presumes that both
    # kinds are there; where all images are known, it still refuses some.

    Equal scores are never parted; if all are equal, all are accepted. Raises ValueError for none.
    """
    refuse_not_finite(scores)
    values, counts = np.unique(np.asarray(scores, float), return_counts=True)
    if len(values) == 0:
        raise ValueError("no scores to choose a threshold from")
    if len(values) == 1:
        return float(values[0])
    centred = values - values.mean()
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centred)
    gap = (sums[-1] - sums[:-1]) / above - sums[:-1] / below  # between the groups' means
    return float(values[1 + np.argmax(below * above * gap**2)])


def at_threshold(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    threshold: float,
) -> dict[str, float | None]:
    """Open-set recognition with one threshold. labels, predictions, scores: (samples,).

    os_star: mean over the K known classes present of the share accepted and predicted right
    unk:     share of the OOD images refused
    os:      (K os_star + unk) / (K + 1) (Saito et al., ECCV 2018)
    hos:     harmonic mean of os_star and unk (Bucci et al., ECCV 2020)
    """
    refuse_not_finite(scores)
    accepted, known = scores >= threshold, labels < num_known
    answers = np.where(accepted, predictions, REFUSED)
    os_star = per_class_accuracy(labels[known], answers[known])
    unk = None if known.all() else float((~accepted[~known]).mean())
    classes = len(np.unique(labels[known]))
    both = os_star is not None and unk is not None
    return {
        "os_star": os_star,
        "unk": unk,
        "os": (classes * os_star + unk) / (classes + 1) if both else None,
        "hos": harmonic_mean(os_star, unk),
    }


def evaluate_all(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    unlabelled_classes: set[int] | None = None,
) -> dict[str, float | None]:
    """What metrics.evaluate gives, and all metrics of this module; `threshold`, which is no share,
    is Otsu's on the scores of these very images, with and without label.

    labels, predictions, scores: (samples,).
    """
    result = evaluate(labels, predictions, scores, num_known, unlabelled_classes)
    threshold = otsu_threshold(scores)
    labelled = labels >= 0
    labels, predictions, scores = labels[labelled], predictions[labelled], scores[labelled]
    is_id = labels < num_known
    return {
        **result,
        "aupr_out": aupr_out(is_id, scores),
        "detection_accuracy": detection_accuracy(is_id, scores),
        "oscr": oscr(labels, predictions, scores, num_known),
        **at_threshold(labels, predictions, scores, num_known, threshold),
        "threshold": threshold,
    }
