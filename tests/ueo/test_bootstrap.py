"""Counts of draws give the metrics of the repeated images; intervals cover what they should."""

import numpy as np
import pytest
from test_metrics import sample

from ueo import metrics
from ueo.bootstrap import mean_gain, resample_counts, weighted_auroc, weighted_pacc


def test_weighted_metrics_equal_those_of_repeated_images():
    labels, predictions, scores, known = sample(n=120)
    counts = resample_counts(120, 5, np.random.default_rng(1))
    is_id = labels < known
    pacc = weighted_pacc(labels[is_id], predictions[is_id], counts[:, is_id])
    area = weighted_auroc(is_id, scores, counts)
    for b, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(120), count)
        k = drawn[is_id[drawn]]
        assert pacc[b] == pytest.approx(metrics.per_class_accuracy(labels[k], predictions[k]))
        assert area[b] == pytest.approx(metrics.auroc(is_id[drawn], scores[drawn]))


def run(seed, better=0.0):
    labels, predictions, scores, known = sample(seed)
    rng = np.random.default_rng(9)
    mended = np.where(rng.random(len(labels)) < better, np.minimum(labels, known - 1), predictions)
    outputs = {
        "test_labels": labels,
        "test_predictions_after": mended,
        "test_scores_after": scores + better * (labels < known),
    }
    return outputs, known


def test_no_difference_has_an_interval_of_zero_and_a_gain_lies_in_its_own():
    base = {"a": [run(0)], "b": [run(1)]}
    gain, (low, high) = mean_gain(base, base, "pacc", resamples=50)
    assert gain == low == high == 0
    better = {"a": [run(0, 0.5)], "b": [run(1, 0.5)]}
    for metric in ("pacc", "auroc"):
        gain, (low, high) = mean_gain(better, base, metric, resamples=200)
        assert 0 < low < gain < high
