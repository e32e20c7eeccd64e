"""Open-set metrics, thresholds and intervals against scikit-learn and values computed by hand."""

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score
from sklearn.mixture import GaussianMixture
from test_metrics import sample

from ueo import metrics, open_set
from ueo.results import intervals


def test_aupr_out_equals_scikit_learns():
    labels, _, scores, known = sample()
    is_id = labels < known
    expected = average_precision_score((~is_id).astype(int), -scores)
    assert open_set.aupr_out(is_id, scores) == pytest.approx(expected, abs=1e-12)


def test_detection_accuracy_is_that_of_the_best_threshold():
    labels, _, scores, known = sample()
    is_id = labels < known
    best = max(
        ((scores[is_id] >= t).mean() + (scores[~is_id] < t).mean()) / 2
        for t in [*np.unique(scores), np.inf]
    )
    assert open_set.detection_accuracy(is_id, scores) == pytest.approx(best, abs=1e-12)
    assert open_set.detection_accuracy(is_id, np.where(is_id, 30.0, 25.0)) == 1
    assert open_set.detection_accuracy(is_id, np.zeros(len(is_id))) == 0.5


def test_oscr_is_the_area_under_its_curve():
    labels, predictions, scores, known = sample()
    is_id = labels < known
    right = is_id & (labels == predictions)
    thresholds = [np.inf, *np.unique(scores)[::-1]]
    ccr = [(right & (scores >= t)).sum() / is_id.sum() for t in thresholds]
    fpr = [(~is_id & (scores >= t)).sum() / (~is_id).sum() for t in thresholds]
    got = open_set.oscr(labels, predictions, scores, known)
    assert got == pytest.approx(auc(fpr, ccr), abs=1e-12)
    assert open_set.oscr(labels, np.full_like(labels, known), scores, known) == 0


def test_metrics_at_a_threshold_by_hand():
    labels = np.array([0, 0, 1, 1, 5, 6])
    predictions = np.array([0, 0, 1, 0, 0, 1])
    scores = np.array([0.9, 0.5, 0.5, 0.9, 0.4, 0.7])
    got = open_set.at_threshold(labels, predictions, scores, 2, threshold=0.5)  # >= is accepted
    assert got == {"os_star": 0.75, "unk": 0.5, "os": (0.75 * 2 + 0.5) / 3, "hos": 0.6}


def test_known_classes_without_images_do_not_count():
    labels, predictions = np.array([0, 0, 2, 2, 5, 6]), np.array([0, 0, 2, 0, 0, 1])
    scores = np.array([0.9, 0.5, 0.5, 0.9, 0.4, 0.7])  # classes 1, 3 and 4 have no image
    got = open_set.at_threshold(labels, predictions, scores, 5, threshold=0.5)
    assert got == {"os_star": 0.75, "unk": 0.5, "os": (0.75 * 2 + 0.5) / 3, "hos": 0.6}


def test_otsus_threshold_has_the_largest_variance_between_groups():
    scores = np.round(np.random.default_rng(0).normal(size=300), 1)

    def between(threshold):
        upper, lower = scores[scores >= threshold], scores[scores < threshold]
        return len(upper) * len(lower) * (upper.mean() - lower.mean()) ** 2

    best = max(np.unique(scores)[1:], key=between)
    assert open_set.otsu_threshold(scores) == best
    assert open_set.otsu_threshold(100 + 0.01 * scores) == pytest.approx(100 + 0.01 * best)
    assert open_set.otsu_threshold(np.array([2.0, 2.0])) == 2  # all accepted
    assert open_set.otsu_threshold(np.array([1.0, 1.1, 5.0, 5.1])) == 5


def test_the_threshold_does_not_depend_on_labels():
    labels, predictions, scores, known = sample()
    with_labels = open_set.evaluate_all(labels, predictions, scores, known)
    fewer = np.where(np.arange(len(labels)) % 2, labels, -1)
    assert open_set.evaluate_all(fewer, predictions, scores, known)["threshold"] == (
        with_labels["threshold"])


def test_equal_scores_detect_nothing():
    labels, predictions, _, known = sample()
    got = open_set.evaluate_all(labels, predictions, np.full(len(labels), 25.0), known)
    assert got["auroc"] == got["detection_accuracy"] == 0.5 and got["fpr95"] == 1
    assert got["unk"] == got["hos"] == 0 and got["os_star"] == pytest.approx(got["pacc"])
    assert got["oscr"] == pytest.approx(got["gacc"] / 2)


@pytest.mark.parametrize("kind", ["known", "ood"])
def test_one_kind_of_images_leaves_detection_undefined(kind):
    labels, predictions, scores, known = sample()
    part = (labels < known) == (kind == "known")
    got = open_set.evaluate_all(labels[part], predictions[part], scores[part], known)
    for name in ("auroc", "aupr", "aupr_out", "fpr95", "detection_accuracy", "oscr", "os", "hos"):
        assert got[name] is None
    assert (got["os_star"] is None) == (kind == "ood") and (got["unk"] is None) == (kind == "known")
    found = intervals.intervals(labels[part], predictions[part], scores[part], known, 20)
    assert set(found) == ({"pacc"} if kind == "known" else set())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(wrong):
    labels, predictions, scores, known = sample()
    scores[7] = wrong
    for call in (metrics.evaluate, open_set.evaluate_all, open_set.oscr, intervals.intervals):
        with pytest.raises(FloatingPointError, match="1 of 400 scores"):
            call(labels, predictions, scores, known)
    with pytest.raises(FloatingPointError):
        open_set.otsu_threshold(scores)


def test_intervals_contain_the_value_and_agree_with_plain_resampling(monkeypatch):
    labels, predictions, scores, known = sample()
    found = intervals.intervals(labels, predictions, scores, known, 400)
    values = open_set.evaluate_all(labels, predictions, scores, known)
    for name, (low, high) in found.items():
        assert low < values[name] < high and high - low < 0.35
    rng = np.random.default_rng(0)
    plain = [open_set.oscr(labels[rows], predictions[rows], scores[rows], known)
             for rows in rng.integers(0, 400, (200, 400))]
    assert found["oscr"] == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.02)
    monkeypatch.setattr(intervals, "BLOCK", 4000)  # ten resamples a block
    assert intervals.intervals(labels, predictions, scores, known, 400) == found


def test_resamples_without_known_or_without_ood_images_do_not_count():
    labels, predictions, scores = np.array([0, 0, 1, 5]), np.array([0, 0, 1, 0]), np.arange(4.0)
    found = intervals.intervals(labels, predictions, scores, 2, 200)
    assert found["auroc"] == (0, 0) and np.isfinite(found["oscr"]).all()


# thresholds without labels


def two_groups(shares=(300, 700), means=(0.0, 4.0), deviations=(1.0, 0.5)) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(m, d, n) for n, m, d in zip(shares, means, deviations)])


def test_the_two_gaussians_equal_scikit_learns_mixture():
    scores = two_groups()
    low, high, likelihood = open_set.fit_two_gaussians(scores)
    model = GaussianMixture(2, random_state=0, tol=1e-9, max_iter=1000).fit(scores[:, None])
    order = model.means_[:, 0].argsort()
    expected = [(model.weights_[i], model.means_[i, 0], model.covariances_[i, 0, 0] ** 0.5)
                for i in order]
    assert np.allclose([low, high], expected, rtol=1e-3)
    assert likelihood == pytest.approx(model.score(scores[:, None]), abs=1e-6)


def test_the_share_of_the_upper_group_is_scikit_learns():
    scores = two_groups(means=(0.0, 2.0))
    model = GaussianMixture(2, random_state=0, tol=1e-9, max_iter=1000).fit(scores[:, None])
    expected = model.predict_proba(scores[:, None])[:, model.means_[:, 0].argmax()]
    np.testing.assert_allclose(open_set.upper_share(scores), expected, atol=1e-3)
    np.testing.assert_allclose(open_set.upper_share(5 * scores - 2), expected, atol=1e-3)
    assert open_set.upper_share(np.full(3, 0.2)).tolist() == [1, 1, 1]


def test_at_the_mixtures_threshold_both_groups_are_equally_likely():
    scores = two_groups()
    threshold = open_set.mixture_threshold(scores)
    model = GaussianMixture(2, random_state=0, tol=1e-9, max_iter=1000).fit(scores[:, None])
    assert model.predict_proba([[threshold]])[0] == pytest.approx([0.5, 0.5], abs=0.02)


def test_the_same_share_threshold_accepts_as_many_as_zero_shot():
    zero_shot, scores = two_groups((40, 60)), two_groups((10, 90))
    accepted = (zero_shot >= open_set.otsu_threshold(zero_shot)).sum()
    threshold = open_set.same_share_threshold(scores, zero_shot)
    assert (scores >= threshold).sum() == accepted == 60


def test_scores_that_form_one_group_have_a_threshold_but_no_separation():
    one = np.random.default_rng(0).normal(size=500)
    assert open_set.separation(one) == 0 == open_set.separation(np.ones(5))
    found = open_set.thresholds(one, one)
    assert all(one.min() < threshold < one.max() for threshold in found.values())
    assert set(open_set.thresholds(np.ones(5), np.ones(5)).values()) == {1.0}
    two = two_groups()
    assert open_set.separation(two) == pytest.approx(4 / 1.5, rel=0.1)
    found = open_set.thresholds(two, two)
    assert set(found) == {"otsu", "mixture", "same_share"}
    assert found["otsu"] == found["same_share"] == open_set.otsu_threshold(two)


@pytest.mark.parametrize("threshold", [0.3, -0.5, None])
def test_the_h_score_equals_its_formula_class_by_class(threshold):
    labels, predictions, scores, known = sample()
    labels[::7] = -1  # without a label
    taken = np.ones(len(scores), bool) if threshold is None else scores >= threshold
    recalls = [np.mean([taken[i] and predictions[i] == c for i in np.flatnonzero(labels == c)])
               for c in range(known)]
    os_star, unk = np.mean(recalls), np.mean(~taken[labels >= known])
    expected = 2 * os_star * unk / (os_star + unk)
    got = open_set.h_score(labels, predictions, scores, known, threshold)
    assert got == pytest.approx(expected, abs=1e-12) and (threshold is None) == (got == 0)
    at = labels < known
    assert open_set.h_score(labels[at], predictions[at], scores[at], known, threshold) is None
