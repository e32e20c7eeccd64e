"""Further metrics for studies: OOD detection, and recognition that may reject an image as unknown.

The conventions are those of metrics.py. An image is accepted as known if its score is at least the
threshold; else it is rejected.
"""

import numpy as np

from ueo.metrics import aupr, auroc, evaluate, harmonic_mean, per_class_accuracy, refuse_not_finite

UNKNOWN = -1  # the prediction of a rejected image


def aupr_out(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision with OOD positive. is_id: (samples,) bool; scores: (samples,)."""
    return aupr(~is_id, -scores)


def detection_accuracy(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """max over thresholds of (TPR + TNR) / 2, which is 1 - the detection error of Liang et al.
    (ICLR 2018). The labels choose the threshold, so this is an upper bound, at least 0.5."""
    if auroc(is_id, scores) is None:
        return None
    from sklearn.metrics import roc_curve  # here, because it takes half a second to import

    false_positive, true_positive, _ = roc_curve(is_id, scores, drop_intermediate=False)
    return float((true_positive + 1 - false_positive).max() / 2)


def oscr(
    labels: np.ndarray, predictions: np.ndarray, scores: np.ndarray, num_known: int
) -> float | None:
    """Open-set classification rate (Dhamija et al., NeurIPS 2018): area under the curve of the
    share of known images accepted and predicted right (CCR) over that of OOD images accepted (FPR).

    labels, predictions, scores: (samples,). CCR is the accuracy on known images times the share of
    correctly predicted images that is accepted. So the area is that accuracy times the AUROC of
    correctly predicted known images against OOD images.
    """
    refuse_not_finite(scores)
    known = labels < num_known
    if not known.any() or known.all():
        return None
    right = known & (labels == predictions)
    part = right | ~known
    return float(right.sum() / known.sum()) * (auroc(known[part], scores[part]) or 0.0)


def otsu_threshold(scores: np.ndarray) -> float:
    """The threshold that splits the scores (samples,) into the two groups with the largest
    between-group variance (Otsu, 1979): the smallest score of the upper group.

    # choice: UniDA's metrics need a threshold that is not tuned on labels. Otsu's rule reads the
    # scores alone, suits any range of scores and has no parameter. It assumes that both kinds of
    # images occur: if all are known, it still rejects some.

    Equal scores stay together; if all are equal, all are accepted. Raises ValueError for no scores.
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


def mixture_threshold(scores: np.ndarray) -> float:
    """The point between the means of two Gaussians, fitted to the scores (samples,) by expectation
    maximisation, where both are equally likely; halfway if their densities do not cross there. The
    fit starts from the groups of `otsu_threshold`. Raises ValueError for no scores."""
    start = otsu_threshold(scores)
    scores = np.asarray(scores, float)
    if scores.min() == scores.max():
        return start
    low, high = fit_two_gaussians(scores)[:2]
    between = np.linspace(low[1], high[1], 10_001)
    upper = _log_density(between, *high) - _log_density(between, *low) >= 0
    return float(between[np.argmax(upper)] if upper.any() else (low[1] + high[1]) / 2)


def same_share_threshold(scores: np.ndarray, zero_shot: np.ndarray) -> float:
    """The threshold that accepts as many of the scores (samples,) as Otsu's rule accepts of the
    zero-shot scores of the same images. Raises ValueError for no scores.

    # choice: fine-tuning raises all scores, those of unknown images included. Zero-shot CLIP may
    # know better how many images are unknown.
    """
    accepted = int((zero_shot >= otsu_threshold(zero_shot)).sum())
    return float(np.sort(np.asarray(scores, float))[-accepted])


THRESHOLDS = {  # rule -> threshold of (scores, zero-shot scores), both (samples,)
    "otsu": lambda scores, zero_shot: otsu_threshold(scores),
    "mixture": lambda scores, zero_shot: mixture_threshold(scores),
    "same_share": same_share_threshold,
}
RULE = "otsu"  # the default, chosen by measurement (docs/thresholds.md)


def thresholds(scores: np.ndarray, zero_shot: np.ndarray) -> dict[str, float]:
    """Return {rule: threshold} for each rule of THRESHOLDS. scores, zero_shot: (samples,), of the
    same images. Raises ValueError for no scores."""
    return {name: rule(scores, zero_shot) for name, rule in THRESHOLDS.items()}


def fit_two_gaussians(
    scores: np.ndarray, steps: int = 200
) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """Return (weight, mean, standard deviation) of the lower Gaussian, the same of the upper one,
    and the mean log-likelihood of a score. scores: (samples,), not all equal."""
    upper = (scores >= otsu_threshold(scores)).astype(float)  # responsibility of the upper Gaussian
    least = 1e-3 * scores.std()  # floor of the standard deviation, which is 0 for a single image
    found, before = -np.inf, -np.inf
    for _ in range(steps):
        parts = [_moments(scores, weights, least) for weights in (1 - upper, upper)]
        logs = np.stack([_log_density(scores, *part) for part in parts])
        whole = np.logaddexp(*logs)
        upper, before, found = np.exp(logs[1] - whole), found, float(whole.mean())
        if found - before < 1e-9:
            break
    low, high = sorted(parts, key=lambda part: part[1])
    return low, high, found


def upper_share(scores: np.ndarray) -> np.ndarray:
    """Fit two Gaussians to the scores (samples,) and return each score's probability of the upper
    one, (samples,); 1 if all scores are equal. Raises ValueError for no scores."""
    scores = np.asarray(scores, float)
    if scores.min() == scores.max():
        return np.ones(len(scores))
    logs = [_log_density(scores, *part) for part in fit_two_gaussians(scores)[:2]]
    return np.exp(logs[1] - np.logaddexp(*logs))


def separation(scores: np.ndarray) -> float:
    """How far apart two groups of the scores (samples,) are: the distance between the means of two
    fitted Gaussians over the sum of their standard deviations. Below 1 the groups overlap. It is
    0.0 if one Gaussian fits no worse by the Bayesian information criterion."""
    refuse_not_finite(scores)
    scores = np.asarray(scores, float)
    if len(scores) < 2 or scores.min() == scores.max():
        return 0.0
    low, high, two = fit_two_gaussians(scores)
    one = float(_log_density(scores, 1.0, scores.mean(), scores.std()).mean())
    better = 2 * len(scores) * (two - one) > 3 * np.log(len(scores))  # three more parameters
    return (high[1] - low[1]) / (low[2] + high[2]) if better else 0.0


def _moments(scores: np.ndarray, weights: np.ndarray, least: float) -> tuple[float, float, float]:
    total = max(float(weights.sum()), 1e-12)
    mean = float((weights * scores).sum() / total)
    variance = float((weights * (scores - mean) ** 2).sum() / total)
    return total / len(scores), mean, max(variance**0.5, least)


def _log_density(scores: np.ndarray, weight: float, mean: float, deviation: float) -> np.ndarray:
    distance = (scores - mean) / deviation
    return np.log(weight / (deviation * (2 * np.pi) ** 0.5)) - 0.5 * distance**2


def accepted(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Which images are accepted as known, (samples,) bool; all for None. scores: (samples,)."""
    return scores >= (-np.inf if threshold is None else threshold)


def at_threshold(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    threshold: float | None,
) -> dict[str, float | None]:
    """Open-set recognition at one threshold; None accepts all. labels, predictions, scores:
    (samples,).

    os_star: share accepted and predicted right, averaged over the K known classes that occur
    unk:     share of the OOD images rejected
    os:      (K os_star + unk) / (K + 1) (Saito et al., ECCV 2018)
    hos:     harmonic mean of os_star and unk (Bucci et al., ECCV 2020)
    """
    refuse_not_finite(scores)
    taken, known = accepted(scores, threshold), labels < num_known
    answers = np.where(taken, predictions, UNKNOWN)
    os_star = per_class_accuracy(labels[known], answers[known])
    unk = None if known.all() else float((~taken[~known]).mean())
    classes = len(np.unique(labels[known]))
    both = os_star is not None and unk is not None
    return {
        "os_star": os_star,
        "unk": unk,
        "os": (classes * os_star + unk) / (classes + 1) if both else None,
        "hos": harmonic_mean(os_star, unk),
    }


def h_score(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    threshold: float | None,
) -> float | None:
    """`hos` of `at_threshold` on the images with a label."""
    at = labels >= 0
    return at_threshold(labels[at], predictions[at], scores[at], num_known, threshold)["hos"]


def evaluate_all(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    unlabelled_classes: set[int] | None = None,
) -> dict[str, float | None]:
    """All metrics of metrics.evaluate and of this module. labels, predictions, scores: (samples,).

    `threshold`, a score and not a share, is Otsu's on all of these images, with label or without.
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
