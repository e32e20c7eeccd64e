"""Metrics on NumPy arrays of labels, predictions and scores; every result is in [0, 1] or None.

Labels from 0 to `num_known` - 1 are known classes (ID); larger ones are out-of-distribution (OOD).
A label below 0 means that the image has none; it is not counted. ID is the positive class, and a
larger score means more ID. None means "not defined on this set", such as an AUROC without OOD
samples. No threshold separates equal scores. A NaN or infinite score raises FloatingPointError,
because it means that the model diverged.

Every evaluation of a run computes these metrics; open_set.py has further ones for studies.
"""

import numpy as np


def percent(value: float | None) -> float | None:
    """Return a share as a percentage, or None for None."""
    return None if value is None else 100 * value


def in_percent(values: dict[str, float | None]) -> dict[str, float | None]:
    """Return metrics as records keep them: in percent, "gacc" renamed to "accuracy" and first."""
    found = {name: percent(value) for name, value in values.items()}
    return {"accuracy": found.pop("gacc"), **found}


def global_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Share of samples predicted right. labels, predictions: (samples,)."""
    return float((labels == predictions).mean()) if len(labels) else None


def per_class_accuracy(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Mean recall over the classes that occur (PACC). labels, predictions: (samples,)."""
    recalls = [(predictions[labels == c] == c).mean() for c in np.unique(labels)]
    return float(np.mean(recalls)) if recalls else None


def refuse_not_finite(scores: np.ndarray) -> None:
    """Raise FloatingPointError if any scores are NaN or infinite; the message counts them."""
    wrong = int((~np.isfinite(scores)).sum())
    if wrong:
        raise FloatingPointError(f"{wrong:,} of {len(scores):,} scores are not finite numbers")


def _both(is_id: np.ndarray, scores: np.ndarray) -> bool:
    """Whether both ID and OOD samples exist; else detection is not defined."""
    refuse_not_finite(scores)
    return bool(is_id.any() and not is_id.all())


def auroc(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve. is_id: (samples,) bool; scores: (samples,)."""
    if not _both(is_id, scores):
        return None
    from sklearn.metrics import auc, roc_curve  # here, because they take half a second to import

    false_positive, true_positive, _ = roc_curve(is_id, scores)
    return float(auc(false_positive, true_positive))


def fpr_at_tpr(is_id: np.ndarray, scores: np.ndarray, tpr: float = 0.95) -> float | None:
    """Share of OOD samples accepted at the highest threshold that accepts `tpr` of the ID ones."""
    if not _both(is_id, scores):
        return None
    from sklearn.metrics import roc_curve

    false_positive, true_positive, _ = roc_curve(is_id, scores, drop_intermediate=False)
    return float(false_positive[np.argmax(true_positive >= tpr)])


def aupr(is_id: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision with ID as the positive class (AUPR-in)."""
    if not _both(is_id, scores):
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_id, scores))


def harmonic_mean(a: float | None, b: float | None) -> float | None:
    """2ab / (a + b). For PACC and AUROC this is the UEO paper's HM, not the H-score of UniDA."""
    if a is None or b is None:
        return None
    return 2 * a * b / (a + b) if a + b else 0.0


def expected_calibration_error(
    right: np.ndarray, confidences: np.ndarray, bins: int = 15
) -> float | None:
    """Expected calibration error (ECE; Guo et al., ICML 2017, Eq. 3): the mean over images of the
    gap between confidence and accuracy in their bin. The `bins` are equally wide; a confidence on
    an edge is in the lower bin. right: (samples,) bool; confidences: (samples,), in [0, 1]."""
    if not len(right):
        return None
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    gaps = np.bincount(np.digitize(confidences, edges, right=True), right - confidences)
    return float(np.abs(gaps).sum() / len(right))


def evaluate(
    labels: np.ndarray,
    predictions: np.ndarray,
    scores: np.ndarray,
    num_known: int,
    unlabelled_classes: set[int] | None = None,
    confidences: np.ndarray | None = None,
) -> dict[str, float | None]:
    """All metrics of one set.

    labels, predictions, scores: (samples,).
    unlabelled_classes: the classes of the unlabelled set (L_u). Adds the PACC of known classes in
        L_u ("present") and outside ("absent"), and the AUROC against OOD classes in L_u ("seen")
        and outside ("unseen").
    confidences: (samples,), probability of the predicted class. Adds the ECE of known images.
    """
    refuse_not_finite(scores)  # those of images without a label, too
    labelled = labels >= 0
    labels, predictions, scores = labels[labelled], predictions[labelled], scores[labelled]
    known = labels < num_known
    pacc = per_class_accuracy(labels[known], predictions[known])
    area = auroc(known, scores)
    result = {
        "gacc": global_accuracy(labels[known], predictions[known]),
        "pacc": pacc,
        "auroc": area,
        "fpr95": fpr_at_tpr(known, scores),
        "aupr": aupr(known, scores),
        "hm": harmonic_mean(pacc, area),
    }
    if confidences is not None:
        at = np.flatnonzero(labelled)[known]
        result["ece"] = expected_calibration_error(
            labels[known] == predictions[known], confidences[at].astype(float)
        )
    if unlabelled_classes is not None:
        inside = np.isin(labels, sorted(unlabelled_classes))
        for name, part in (("present", inside), ("absent", ~inside)):
            at = known & part
            result[f"pacc_{name}"] = per_class_accuracy(labels[at], predictions[at])
        for name, part in (("seen", inside), ("unseen", ~inside)):
            at = known | part
            result[f"auroc_{name}"] = auroc(known[at], scores[at])
    return result
