"""Orders of a stream, and thresholds and metrics over time."""

import numpy as np
import pytest

from ueo.errors import ConfigError
from ueo.runs.online.orders import ORDERS, batches
from ueo.runs.online.over_time import over_time, thresholds_so_far

LABELS = np.repeat(np.arange(10), 40)
ONE = np.zeros_like(LABELS)


@pytest.mark.parametrize("order", ORDERS)
def test_every_image_comes_once_and_domains_are_not_mixed(order):
    domains = np.arange(len(LABELS)) % 3
    found = batches(order, LABELS, domains, 16, 0.1, seed=1)
    assert sorted(np.concatenate(found)) == list(range(len(LABELS)))
    assert [len(set(domains[batch])) for batch in found] == [1] * len(found)
    assert (np.diff(domains[np.concatenate(found)]) >= 0).all()
    again = batches(order, LABELS, domains, 16, 0.1, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(found, again))
    other = batches(order, LABELS, domains, 16, 0.1, seed=2)
    assert np.array_equal(np.concatenate(found), np.concatenate(other)) == (order == "listed")


def classes_at_a_time(order: str, gamma: float = 0.1) -> float:
    """Mean number of classes in a batch of 20."""
    return np.mean([len(set(LABELS[batch])) for batch in batches(order, LABELS, ONE, 20, gamma, 1)])


def test_a_smaller_gamma_gives_fewer_classes_at_a_time():
    counts = [classes_at_a_time("correlated", gamma) for gamma in (1e3, 1, 0.1, 0.01, 0.001)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == pytest.approx(classes_at_a_time("shuffled"), abs=1)
    assert counts[-1] < 3 and classes_at_a_time("classes") == 1


def test_images_within_a_time_slot_are_shuffled():
    """With 10 classes in equal shares, two neighbours have the same class with probability 0.1."""
    order = ORDERS["correlated"](LABELS, np.random.default_rng(0), 1e6, 200)
    came = LABELS[order]
    assert np.mean(came[1:] == came[:-1]) == pytest.approx(0.1, abs=0.04)


def test_the_order_classes_shows_class_after_class_in_a_random_order():
    came = LABELS[np.concatenate(batches("classes", LABELS, ONE, 16, 0.1, 1))]
    firsts = came[::40]
    assert np.array_equal(came, np.repeat(firsts, 40)) and list(firsts) != sorted(firsts)


def test_a_correlated_stream_of_images_without_labels_is_refused():
    with pytest.raises(ConfigError, match="'correlated' is made from labels"):
        batches("correlated", np.full(5, -1), np.zeros(5, int), 2, 0.1, 1)


def test_a_threshold_depends_on_past_images_alone():
    rng = np.random.default_rng(0)
    scores = np.where(rng.random(1000) < 0.5, rng.normal(0, 1, 1000), rng.normal(8, 1, 1000))
    ends = np.arange(10, 1001, 10)
    found = thresholds_so_far(scores, ends)
    assert np.abs(found[100:] - 4).max() < 4
    other = scores.copy()
    other[500:] += 20
    changed = thresholds_so_far(other, ends)
    assert np.array_equal(found[:500], changed[:500]) and changed[-1] > 20
    assert np.array_equal(thresholds_so_far(scores[:3], np.array([1, 2, 3]))[:1], scores[:1])


def test_metrics_over_time():
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1])  # 2 is unknown
    predictions = np.array([0, 1, 0, 1, 0, 0, 0, 1])
    scores = np.array([3.0, 3, 1, 3, 3, 1, 3, 3])
    points = over_time(labels, predictions, scores - 2, scores, 2)
    assert [point["images"] for point in points] == list(range(1, 9))
    assert points[-1]["so_far"] == pytest.approx(
        {"accuracy": 100 * 4 / 6, "auroc": 100.0, "h_score": 200 * (4 / 6) / (1 + 4 / 6)})
    assert points[0]["so_far"] == {"accuracy": 100.0, "auroc": None, "h_score": None}
    assert points[5]["lately"] == {"accuracy": None, "auroc": None, "h_score": None}
