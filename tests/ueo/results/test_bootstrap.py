"""Bootstrap: metrics weighted by counts equal those of repeated images; intervals of gains."""

import numpy as np
import pytest
from test_metrics import sample

from ueo import metrics, open_set
from ueo.results import bootstrap
from ueo.results.bootstrap import drawn_gains, estimate, mean_gains
from ueo.results.intervals import (
    resample_counts,
    weighted_auroc,
    weighted_fpr,
    weighted_oscr,
    weighted_pacc,
)
from ueo.results.wording import ROUNDING, signed


def test_weighted_metrics_equal_those_of_repeated_images():
    labels, predictions, scores, known = sample(n=120)
    counts = resample_counts(120, 5, np.random.default_rng(1))
    is_id = labels < known
    right = is_id & (labels == predictions)
    pacc = weighted_pacc(labels[is_id], predictions[is_id], counts[:, is_id])
    auroc, fpr = (f(is_id, scores, counts) for f in (weighted_auroc, weighted_fpr))
    oscr = weighted_oscr(is_id, right, scores, counts)
    for b, count in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(120), count)
        k = rows[is_id[rows]]
        assert pacc[b] == pytest.approx(metrics.per_class_accuracy(labels[k], predictions[k]))
        assert auroc[b] == pytest.approx(metrics.auroc(is_id[rows], scores[rows]))
        assert fpr[b] == pytest.approx(metrics.fpr_at_tpr(is_id[rows], scores[rows]))
        assert oscr[b] == pytest.approx(
            open_set.oscr(labels[rows], predictions[rows], scores[rows], known))


def run(seed, better=0.0):
    labels, predictions, scores, known = sample(seed)
    rng = np.random.default_rng(9)
    mended = np.where(rng.random(len(labels)) < better, np.minimum(labels, known - 1), predictions)
    outputs = {
        "test_labels": labels,
        "test_predictions_after": mended,
        "test_scores_after": scores + better * (labels < known),
        "test_paths": np.array([f"{i}.png" for i in range(len(labels))]),
    }
    return outputs, known


def test_no_difference_has_a_zero_interval_and_a_gain_lies_in_its_interval():
    base = {"a": [run(0)], "b": [run(1)]}
    gain, (low, high) = mean_gains(base, base, resamples=50)["pacc"]
    assert gain == low == high == 0
    better = {"a": [run(0, 0.5)], "b": [run(1, 0.5)]}
    for gain, (low, high) in mean_gains(better, base, resamples=200).values():
        assert 0 < low < gain < high


def test_equal_means_of_different_recalls_are_no_gain_up_to_rounding():
    """1/3 + 2/3 + 1/3 equals 1/3 + 1 + 0, but in fp32 not to the last bit."""
    labels, scores = np.repeat([0, 1, 2, 3, 9], [3, 3, 3, 7, 1]), np.linspace(0, 1, 17)
    several = {}
    for name, right in (("one", (1, 2, 1, 1)), ("other", (1, 3, 0, 1))):
        taken = np.concatenate([np.arange(n) < k for n, k in zip((3, 3, 3, 7, 1), (*right, 0))])
        several[name] = {"a": [({"test_labels": labels, "test_scores_after": scores,
                                 "test_paths": np.arange(17),
                                 "test_predictions_after": np.where(taken, labels, 8)}, 4)]}
    gain, _ = mean_gains(several["one"], several["other"], ("pacc",), 20)["pacc"]
    assert abs(gain) < ROUNDING and signed(gain) == signed(-gain) == "+0.00"


def test_blocks_of_resamples_change_nothing(monkeypatch):
    base, better = {"a": [run(0)]}, {"a": [run(0, 0.5)]}
    whole = mean_gains(better, base, resamples=30)
    monkeypatch.setattr(bootstrap, "BLOCK", 700)
    assert mean_gains(better, base, resamples=30) == whole


def test_methods_are_compared_on_the_images_that_both_were_tested_on():
    """A method's labelled shots are not in its test set, nor in the comparison."""
    outputs, known = run(0)
    n = len(outputs["test_labels"])
    paths = np.array([f"{i:04}.jpg" for i in range(n)])
    whole = {**outputs, "test_paths": paths}
    rows = np.random.default_rng(0).permutation(n)[: n - 7]
    part = {k: v[rows] for k, v in whole.items()}
    for gain, (low, high) in mean_gains({"a": [(part, known)]}, {"a": [(whole, known)]},
                                        resamples=20).values():
        assert gain == low == high == 0


def test_resamples_without_an_unknown_image_do_not_count():
    """With 2 unknown images of 60, one resample in eight has none, so its AUROC is undefined."""
    rng = np.random.default_rng(2)
    known = np.arange(60) >= 2
    labels = np.where(known, np.arange(60) % 4, 4)
    outputs = {"test_labels": labels, "test_predictions_after": labels % 4,
               "test_scores_after": rng.random(60), "test_paths": np.arange(60)}
    better = {**outputs, "test_scores_after": outputs["test_scores_after"] + known}
    counts = resample_counts(60, 200, rng)
    assert np.isnan(weighted_auroc(known, outputs["test_scores_after"], counts)).any()
    gain, (low, high) = mean_gains({"a": [(better, 4)]}, {"a": [(outputs, 4)]})["auroc"]
    assert np.isfinite([low, high]).all() and low <= gain <= high


def test_an_interval_holds_95_percent_of_the_draws():
    values = np.random.default_rng(0).permutation(1001.0 * np.arange(1001) / 1001)
    assert bootstrap.interval(values) == pytest.approx((25, 975))
    assert bootstrap.interval(np.append(values, np.nan)) == pytest.approx((25, 975))


def test_each_run_counts_once_even_if_seeds_have_different_shots():
    """Two seeds were tested on the same images and a third on others; the mean is over three."""
    outputs, known = run(0)
    n = len(outputs["test_labels"])
    base = {**outputs, "test_paths": np.array([f"{i:04}.jpg" for i in range(n)])}
    right = {**base, "test_predictions_after": np.minimum(base["test_labels"], known - 1)}
    of_seed = [right, right, base]
    parts = [{k: v[rows] for k, v in seed.items()}
             for seed, rows in zip(of_seed, (slice(3, None), slice(3, None), slice(0, n - 3)))]
    gains = [mean_gains({"a": [(part, known)]}, {"a": [(base, known)]}, resamples=2)["pacc"][0]
             for part in parts]
    assert gains[0] == gains[1] > gains[2] == 0
    together = mean_gains({"a": [(part, known) for part in parts]}, {"a": [(base, known)]},
                          resamples=2)["pacc"][0]
    assert together == pytest.approx(np.mean(gains))


def test_each_cell_counts_once_whatever_its_number_of_seeds():
    """Our method has three seeds where both are good, the base where both are bad: no gain."""
    good, bad = run(0, 0.9), run(0)
    ours = {("a", "closed"): [good] * 3, ("a", "open"): [bad]}
    base = {("a", "closed"): [good], ("a", "open"): [bad] * 3}
    for gain, bounds in mean_gains(ours, base, resamples=20).values():
        assert [gain, *bounds] == pytest.approx([0, 0, 0], abs=1e-9)
    ours[("a", "closed")] = [run(0, 0.95)] * 3
    alone = mean_gains({"a": [run(0, 0.95)]}, {"a": [good]}, resamples=20)["pacc"]
    half = mean_gains(ours, base, resamples=20)["pacc"]
    assert half[0] == pytest.approx(alone[0] / 2)
    assert half[1] == pytest.approx(tuple(np.divide(alone[1], 2)))


def test_images_without_labels_do_not_count():
    (ours, known), (base, _) = run(0, 0.5), run(0)
    whole = mean_gains({"a": [(ours, known)]}, {"a": [(base, known)]}, resamples=2)
    none = {"test_labels": [-1], "test_predictions_after": [0], "test_scores_after": [9.0],
            "test_paths": ["none.png"]}
    ours, base = ({key: np.concatenate([values, none[key] * 50]) for key, values in each.items()}
                  for each in (ours, base))
    with_some = mean_gains({"a": [(ours, known)]}, {"a": [(base, known)]}, resamples=2)
    assert [m[0] for m in with_some.values()] == pytest.approx([m[0] for m in whole.values()])


def test_an_h_score_without_an_unknown_image_drawn_is_not_defined():
    outputs, known = run(0)
    outputs[bootstrap.ACCEPTED] = outputs["test_scores_after"] > 0
    unknown = outputs["test_labels"] >= known
    counts = np.stack([np.ones(len(unknown)), ~unknown]).astype(np.float32)
    found = bootstrap.resampled(outputs, known, counts)["h_score"]
    assert 0 < found[0] < 1 and np.isnan(found[1])


@pytest.mark.parametrize("draws, expected", [(10_000_000, 1000), (200_000, 500), (1, 200)])
def test_large_domains_are_resampled_less_often_but_never_below_a_floor(
    monkeypatch, draws, expected
):
    drawn, real = [], bootstrap.resample_counts
    monkeypatch.setattr(bootstrap, "DRAWS", draws)
    monkeypatch.setattr(
        bootstrap, "resample_counts", lambda n, some, rng: drawn.append(some) or real(n, some, rng)
    )
    mean_gains({"a": [run(0)]}, {"a": [run(0)]})  # 400 images
    assert sum(drawn) == expected


def test_images_of_one_object_are_resampled_together():
    """Two domains with the same objects give the same interval as one of them."""
    (ours, known), (base, _) = run(0, 0.5), run(0)
    names = [f"{i:04}.png" for i in range(len(ours["test_labels"]))]
    cells = {domain: {"test_paths": np.array([f"{domain}/{name}" for name in names])}
             for domain in "ab"}
    own = {domain: [({**ours, **paths}, known)] for domain, paths in cells.items()}
    theirs = {domain: [({**base, **paths}, known)] for domain, paths in cells.items()}

    def of(*domains, **words):
        drawn = drawn_gains({d: own[d] for d in domains}, theirs, resamples=500, **words)["pacc"]
        return estimate(drawn.values())

    one, together = of("a"), of("a", "b", object_of=lambda path: path[2:])
    assert together == one
    gain, (low, high) = of("a", "b")
    assert gain == one[0] and high - low < 0.85 * (one[1][1] - one[1][0])  # 1 / sqrt(2) expected


def test_objects_of_a_single_domain_are_resampled_too():
    (ours, known), (base, _) = run(0, 0.5), run(0)
    names = np.array([f"{i:04}.png" for i in range(len(ours["test_labels"]))])
    ours, base = ours | {"test_paths": names}, base | {"test_paths": names}
    fewer = {"a": [({k: v[:300] for k, v in ours.items()}, known)], "b": [(ours, known)]}
    drawn = drawn_gains(fewer, {"a": [(base, known)], "b": [(base, known)]}, resamples=50,
                        object_of=str)
    assert {len(values) for values in drawn["auroc"].values()} == {51}
    whole = drawn_gains({"b": [(ours, known)]}, {"b": [(base, known)]}, resamples=50)
    assert np.array_equal(drawn["auroc"]["b"], whole["auroc"]["b"])  # b has all objects
