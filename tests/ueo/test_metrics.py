"""Metrics against scikit-learn and against values computed by hand."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, confusion_matrix, roc_curve

from ueo import metrics


def sample(seed=0, n=400, known=5, unknown=3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, known + unknown, n)
    predictions = np.where(rng.random(n) < 0.6, np.minimum(labels, known - 1),
                           rng.integers(0, known, n))
    scores = np.round(rng.normal(size=n) + (labels < known), 1)  # rounded, so that ties occur
    return labels, predictions, scores, known


def test_metrics_equal_scikit_learns():
    labels, predictions, scores, known = sample()
    got = metrics.evaluate(labels, predictions, scores, known)
    is_id = labels < known
    matrix = confusion_matrix(labels[is_id], predictions[is_id])
    recall = matrix.diagonal() / matrix.sum(1)
    fpr, tpr, _ = roc_curve(is_id, scores)
    assert got["gacc"] == pytest.approx(matrix.trace() / matrix.sum(), abs=1e-12)
    assert got["pacc"] == pytest.approx(recall.mean(), abs=1e-12)
    assert got["auroc"] == pytest.approx(auc(fpr, tpr), abs=1e-12)
    assert got["aupr"] == pytest.approx(average_precision_score(is_id, scores), abs=1e-12)
    assert got["hm"] == pytest.approx(2 / (1 / got["pacc"] + 1 / got["auroc"]))


def test_fpr95_is_the_share_of_ood_accepted_with_95_percent_of_id():
    id_scores, ood_scores = np.arange(100.0), np.array([2.0, 4.5, 5.5, 50.0])
    scores = np.concatenate([id_scores, ood_scores])
    is_id = np.arange(104) < 100
    # 95 of 100 ID scores are >= 5, and 2 of 4 OOD scores are
    assert metrics.fpr_at_tpr(is_id, scores) == 0.5


def test_auroc_of_large_scores_does_not_saturate():
    is_id = np.array([True, True, False, False])
    assert metrics.auroc(is_id, np.array([35.0, 30.0, 29.0, 20.0])) == 1.0


def test_classes_of_the_unlabelled_set_have_metrics_of_their_own():
    labels = np.array([0, 0, 1, 2, 3, 3, 4])  # known 0 to 2, OOD 3 (also unlabelled) and 4
    predictions = np.array([0, 0, 1, 0, 1, 1, 1])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.1, 0.2, 0.95])
    got = metrics.evaluate(labels, predictions, scores, 3, {0, 1, 3})
    assert got["pacc_present"] == 1.0 and got["pacc_absent"] == 0.0
    assert got["auroc_seen"] == 1.0 and got["auroc_unseen"] == 0.0


def test_without_ood_images_detection_is_undefined():
    got = metrics.evaluate(np.array([0, 1]), np.array([0, 0]), np.array([0.5, 0.4]), 2)
    assert got["auroc"] is None and got["fpr95"] is None and got["hm"] is None
    assert got["pacc"] == 0.5


def test_the_calibration_error_equals_its_sum_over_bins():
    labels, predictions, scores, known = sample()
    rng = np.random.default_rng(1)
    confidences = np.concatenate([rng.random(380), np.arange(20) / 15 % 1])  # some on bin edges
    labels = np.where(np.arange(len(labels)) % 7, labels, -1)  # some without a label
    got = metrics.evaluate(labels, predictions, scores, known, confidences=confidences)["ece"]
    at = (labels >= 0) & (labels < known)
    expected = 0.0
    for upper in range(1, 16):
        inside = at & (confidences <= upper / 15)
        if upper > 1:
            inside &= confidences > (upper - 1) / 15
        if inside.any():
            gap = (labels == predictions)[inside].mean() - confidences[inside].mean()
            expected += abs(gap) * inside.sum() / at.sum()
    assert got == pytest.approx(expected, abs=1e-12) and 0 < got < 1


def test_the_calibration_error_of_calibrated_confidences_is_zero():
    right = np.array([True, True, True, False, True])
    assert metrics.expected_calibration_error(right, np.array([0.75] * 4 + [1.0])) == 0
    assert metrics.expected_calibration_error(~right, np.ones(5)) == pytest.approx(0.8)
    assert metrics.expected_calibration_error(right[:0], np.ones(0)) is None
    assert "ece" not in metrics.evaluate(*sample())
