"""UEO's objective and those of the baselines against independent NumPy formulas, and limits."""

import numpy as np
import pytest
import torch

from ueo.losses import (
    DOUBTS,
    entropy,
    entropy_difference,
    entropy_separation,
    halfway,
    information_maximisation,
    neighbourhood_entropy,
    outlier_exposure,
    soft_contrastive,
    transport_cost,
    unified_entropy,
    universal_entropy,
    weighted_mean,
)
from ueo.open_set import otsu_threshold


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def numpy_ueo(p, w, trade_off, eps=1e-5):
    """Eq. 4 of arXiv:2308.12919 with the released epsilon, in float64, sample by sample."""
    conditional = sum(wi * -sum(q * np.log(q + eps) for q in pi) for wi, pi in zip(w, p)) / sum(w)
    mean = sum(pi / wi for wi, pi in zip(w, p)) / sum(1 / wi for wi in w)
    return conditional, trade_off * sum(q * np.log(q + eps) for q in mean)


@pytest.mark.parametrize("batch, classes", [(1, 2), (7, 5), (64, 300)])
@pytest.mark.parametrize("trade_off", [0.0, 0.5, 1.0])
def test_universal_entropy_is_the_papers_formula(batch, classes, trade_off):
    rng = np.random.default_rng(batch)
    p = rng.dirichlet(np.full(classes, 0.3), batch)
    w = rng.uniform(0.01, 1, batch)
    got = universal_entropy(torch.tensor(p), torch.tensor(w), trade_off)
    np.testing.assert_allclose([t.item() for t in got], numpy_ueo(p, w, trade_off), atol=1e-6)


def test_equal_weights_are_information_maximisation():
    p = torch.rand(20, 6, dtype=torch.float64).softmax(-1)
    conditional, marginal = universal_entropy(p, torch.full((20,), 0.37, dtype=torch.float64))
    torch.testing.assert_close(conditional, entropy(p).mean())
    torch.testing.assert_close(marginal, -entropy(p.mean(0)))


def test_scaled_weights_and_reordered_samples_give_the_same_loss():
    p, w = torch.rand(9, 4, dtype=torch.float64).softmax(-1), torch.rand(9).double() + 0.1
    order = torch.randperm(9)
    for other in (universal_entropy(p, 5 * w), universal_entropy(p[order], w[order])):
        for a, b in zip(other, universal_entropy(p, w)):
            torch.testing.assert_close(a, b)


def test_doubtful_samples_count_more_in_the_mean_prediction():
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    mean = weighted_mean(p, 1 / torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(mean, (p[0] + 4 * p[1]) / 5)


def test_a_thousand_classes_stay_finite():
    p = torch.full((64, 1000), 1e-3)
    assert all(t.isfinite() for t in universal_entropy(p, torch.full((64,), 1e-3)))


def softmax(z, axis):
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def numpy_entropy(p, eps=1e-5):
    return -(p * np.log(p + eps)).sum(-1)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# the baselines


@pytest.mark.parametrize("trade_off", [0.0, 1.0, 2.5])
def test_information_maximisation(rng, trade_off):
    p = rng.dirichlet(np.ones(6), 11)
    expected = numpy_entropy(p).mean(), -trade_off * numpy_entropy(p.mean(0))
    got = information_maximisation(torch.tensor(p), trade_off)
    np.testing.assert_allclose([t.item() for t in got], expected)


def test_transport_cost(rng):
    cosines = rng.uniform(-1, 1, (9, 4))
    cost, rows, columns = 1 - cosines, softmax(20 * cosines, 1), softmax(20 * cosines, 0)
    there = np.mean([sum(cost[i, k] * rows[i, k] for k in range(4)) for i in range(9)])
    back = np.mean([sum(cost[i, k] * columns[i, k] for i in range(9)) for k in range(4)])
    got = transport_cost(torch.tensor(cosines), torch.tensor(20 * cosines))
    assert got.item() == pytest.approx(there + back)


def test_with_one_class_the_cost_towards_it_ignores_the_logits(rng):
    cosines = torch.tensor(rng.uniform(-1, 1, (9, 1)))
    for scale in (0.0, 1.0, 50.0):
        back = ((1 - cosines) * (scale * cosines).softmax(0)).sum(0).mean()
        there = transport_cost(cosines, scale * cosines) - back
        assert there.item() == pytest.approx((1 - cosines).mean().item())
    same = torch.full((9, 1), 0.3, dtype=torch.float64)
    costs = {round(transport_cost(same, s * same).item(), 12) for s in (0.0, 1.0, 50.0)}
    assert costs == {1.4}  # 0.7 there and 0.7 back


def test_neighbourhood_entropy(rng):
    logits, memory, batch = (rng.normal(size=(5, n)) for n in (3, 8, 5))
    p = softmax(np.concatenate([logits, memory, batch], 1), 1)
    got = neighbourhood_entropy(*(torch.tensor(x) for x in (logits, memory, batch)))
    assert got.item() == pytest.approx(numpy_entropy(p).mean())


def test_entropy_separation_and_its_margin(rng):
    p = rng.dirichlet(np.full(20, 0.2), 30)
    distance = np.abs(numpy_entropy(p) - 1.5)
    got = entropy_separation(torch.tensor(p), 1.5, 0.5)
    assert got.item() == pytest.approx(-np.maximum(distance, 0.5).mean())
    logits = torch.tensor(np.log(p), requires_grad=True)
    entropy_separation(logits.softmax(-1), 1.5, 0.5).backward()
    moved = logits.grad.abs().sum(1).numpy() > 1e-12
    assert (moved == (distance > 0.5)).all() and moved.any() and not moved.all()


@pytest.mark.parametrize("name", DOUBTS)
def test_doubt_falls_with_confidence_and_weights_the_mean_prediction(rng, name):
    p, w = rng.dirichlet(np.ones(4), 7), np.sort(rng.uniform(0.1, 0.9, 7))
    formula = {"inverse": 1 / w, "linear": 1 - w, "exponential": np.exp(-w), "uniform": 0 * w + 1}
    doubt = DOUBTS[name](torch.tensor(w))
    np.testing.assert_allclose(doubt, formula[name], atol=2e-5)
    assert (doubt.diff() <= 0).all()
    _, marginal = universal_entropy(torch.tensor(p), torch.tensor(w), doubt=doubt)
    mean = (p * doubt.numpy()[:, None]).sum(0) / doubt.sum().item()
    assert marginal.item() == pytest.approx(-numpy_entropy(mean))


def test_the_difference_of_two_weighted_entropies(rng):
    p, w, d = rng.dirichlet(np.ones(4), 7), rng.uniform(0.1, 1, 7), rng.uniform(0.1, 1, 7)
    each = numpy_entropy(p)
    got = entropy_difference(*(torch.tensor(x) for x in (p, w, d)), trade_off=0.5)
    expected = (w * each).sum() / w.sum(), -0.5 * (d * each).sum() / d.sum()
    np.testing.assert_allclose([t.item() for t in got], expected)


def test_unient_averages_over_each_side_and_unient_plus_over_the_batch(rng):
    p, share = rng.dirichlet(np.full(6, 0.3), 9), rng.uniform(0, 1, 9)
    each, marginal = numpy_entropy(p, 0), 0.3 * (p.mean(0) * np.log(p.mean(0))).sum()
    hard = share > 0.5
    split = each[hard].mean(), -0.7 * each[~hard].mean(), marginal
    got = unified_entropy(torch.tensor(p), torch.tensor(hard.astype(float)), 0.3, 0.7, True)
    np.testing.assert_allclose([t.item() for t in got], split)
    soft = (share * each).mean(), -0.7 * ((1 - share) * each).mean(), marginal
    got = unified_entropy(torch.tensor(p), torch.tensor(share), 0.3, 0.7, False)
    np.testing.assert_allclose([t.item() for t in got], soft)


def test_a_side_without_an_image_adds_nothing():
    prob = torch.tensor([[0.9, 0.1], [1.0, 0.0]])
    known, unknown, _ = unified_entropy(prob, torch.ones(2), 1.0, 1.0, True)
    assert known > 0 and unknown == 0


@pytest.mark.parametrize("both_ways", [False, True])
def test_soft_contrastive_pairs_known_images_with_the_texts_of_their_predictions(rng, both_ways):
    images, texts, known = rng.normal(size=(8, 5)), rng.normal(size=(4, 5)), np.arange(8) % 3 > 0
    logits = 3 * images @ texts.T
    own = texts[logits.argmax(1)]
    pairs = 3 * images[known] @ own[known].T
    expected = numpy_entropy(softmax(pairs, 1), 0).mean()
    if both_ways:
        expected = (expected + numpy_entropy(softmax(pairs, 0).T, 0).mean()) / 2
    got = soft_contrastive(torch.tensor(logits), torch.tensor(known), both_ways)
    assert got.item() == pytest.approx(expected)


def test_outlier_exposure(rng):
    scores = rng.normal(size=20)
    share = 1 / (1 + np.exp(-(scores - 0.2) / 0.5))
    gap = (share @ scores) / share.sum() - ((1 - share) @ scores) / (1 - share).sum()
    got = outlier_exposure(torch.tensor(scores), torch.tensor(0.2), 0.5)
    assert got.item() == pytest.approx(-(gap**2))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_halfway_splits_scores_as_otsus_threshold_does(rng, count):
    scores = rng.normal(size=count).round(1) + 3 * (rng.random(count) > 0.6)
    above = scores >= halfway(torch.tensor(scores)).item()
    np.testing.assert_array_equal(above, scores >= otsu_threshold(scores))
    assert 0 < above.sum() < count or len(set(scores)) == 1


def test_equal_scores_are_all_above_halfway():
    for count in (1, 4):
        scores = torch.full((count,), 0.1)
        assert (scores >= halfway(scores)).all()


@pytest.mark.parametrize("objective", [
    lambda z: sum(universal_entropy(z.softmax(-1), torch.linspace(0.1, 1, 5).double(), 0.7)),
    lambda z: sum(unified_entropy(z.softmax(-1), torch.linspace(0, 1, 5).double(), 0.7, 0.4, True)),
    lambda z: soft_contrastive(z, torch.arange(5) > 1, True),
    lambda z: outlier_exposure(z[:, 0], torch.tensor(0.1), 0.5),
    lambda z: sum(information_maximisation(z.softmax(-1), 0.7)),
    lambda z: transport_cost(z / 10, z),
    lambda z: neighbourhood_entropy(z, 2 * z, z @ z.T),
    lambda z: entropy_separation(z.softmax(-1), 0.4, 0.01),
    lambda z: sum(entropy_difference(z.softmax(-1), torch.arange(1.0, 6).double(),
                                     torch.arange(6.0, 1, -1).double())),
])
def test_gradients_agree_with_finite_differences(objective):
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(objective, (logits,))
