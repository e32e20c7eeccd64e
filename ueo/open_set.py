"""Metrics of a study: more of detection, and recognition with the right to refuse an image.

Conventions are those of metrics.py: ID is positive, larger scores mean more ID, labels from
`num_known` on are OOD, results lie in [0, 1], None where not defined, and a score that is not
finite raises FloatingPointError. An image is accepted as known if its score is at least the
threshold.
"""

import numpy as np

from ueo.metrics import aupr, auroc, evaluate, harmonic_mean, per_class_accuracy, refuse_not_finite

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


def mixture_threshold(scores: np.ndarray) -> float:
    """Where a score is as likely to be of the upper as of the lower of two Gaussians, fitted to the
    scores (samples,) by expectation maximisation from the groups of `otsu_threshold`; between their
    means, halfway where their densities do not cross there. Raises ValueError for no scores."""
    start = otsu_threshold(scores)
    scores = np.asarray(scores, float)
    if scores.min() == scores.max():
        return start
    low, high = fit_two_gaussians(scores)[:2]
    between = np.linspace(low[1], high[1], 10_001)
    upper = _log_density(between, *high) - _log_density(between, *low) >= 0
    return float(between[np.argmax(upper)] if upper.any() else (low[1] + high[1]) / 2)


def same_share_threshold(scores: np.ndarray, zero_shot: np.ndarray) -> float:
    """The threshold that accepts as many of the scores (samples,) as Otsu's rule accepts by the
    zero-shot model's scores of the same images. Raises ValueError for no scores.

    # choice: fine-tuning moves all scores up, and those of unknown images with them; how many
    # images are unknown is what zero-shot CLIP may know better.
    """
    accepted = int((zero_shot >= otsu_threshold(zero_shot)).sum())
    return float(np.sort(np.asarray(scores, float))[-accepted])


THRESHOLDS = {  # rule -> threshold of (scores, zero-shot scores), both (samples,)
    "otsu": lambda scores, zero_shot: otsu_threshold(scores),
    "mixture": lambda scores, zero_shot: mixture_threshold(scores),
    "same_share": same_share_threshold,
}
RULE = "otsu"  # unless another is asked for; chosen by measurement (docs/thresholds.md)


def thresholds(scores: np.ndarray, zero_shot: np.ndarray) -> dict[str, float]:
    """{rule: threshold} of THRESHOLDS for the scores (samples,) and the zero-shot model's of the
    same images. Raises ValueError for no scores."""
    return {name: rule(scores, zero_shot) for name, rule in THRESHOLDS.items()}


def fit_two_gaussians(
    scores: np.ndarray, steps: int = 200
) -> tuple[tuple[float, float, float], tuple[float, float, float], float]:
    """((weight, mean, standard deviation) of the lower and of the upper Gaussian, mean
    log-likelihood of a score). scores: (samples,), not all equal."""
    upper = (scores >= otsu_threshold(scores)).astype(float)  # of each: share of the upper one
    least = 1e-3 * scores.std()  # standard deviation: a group of one image has none
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
    """(samples,): how likely each score is of the upper of two Gaussians, fitted to the scores
    (samples,); 1 where all are equal. Raises ValueError for no scores."""
    scores = np.asarray(scores, float)
    if scores.min() == scores.max():
        return np.ones(len(scores))
    logs = [_log_density(scores, *part) for part in fit_two_gaussians(scores)[:2]]
    return np.exp(logs[1] - np.logaddexp(*logs))


def separation(scores: np.ndarray) -> float:
    """How far apart two groups of the scores (samples,) stand: the distance of the means of two
    fitted Gaussians over the sum of their standard deviations; 0.0 where one Gaussian describes
    the scores as well, by the Bayesian information criterion. Below 1 the groups overlap."""
    refuse_not_finite(scores)
    scores = np.asarray(scores, float)
    if len(scores) < 2 or scores.min() == scores.max():
        return 0.0
    low, high, two = fit_two_gaussians(scores)
    one = float(_log_density(scores, 1.0, scores.mean(), scores.std()).mean())
    better = 2 * len(scores) * (two - one) > 3 * np.log(len(scores))  # three parameters more
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
    """Which images count as known, (samples,) bool; None: all. scores: (samples,)."""
    return scores >= (-np.inf if threshold is None else threshold)


def at_threshold(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    threshold: float | None,
) -> dict[str, float | None]:
    """Open-set recognition with one threshold, None to accept all. labels, predictions, scores:
    (samples,).

    os_star: mean over the K known classes present of the share accepted and predicted right
    unk:     share of the OOD images refused
    os:      (K os_star + unk) / (K + 1) (Saito et al., ECCV 2018)
    hos:     harmonic mean of os_star and unk (Bucci et al., ECCV 2020)
    """
    refuse_not_finite(scores)
    taken, known = accepted(scores, threshold), labels < num_known
    answers = np.where(taken, predictions, REFUSED)
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
    """`hos` of `at_threshold` on the images that have a label."""
    at = labels >= 0
    return at_threshold(labels[at], predictions[at], scores[at], num_known, threshold)["hos"]


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
