"""The objective against an independent NumPy formula, and its known limits."""

import numpy as np
import pytest
import torch

from ueo.losses import entropy, universal_entropy, weighted_mean


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


def test_only_ratios_of_weights_count_and_order_does_not():
    p, w = torch.rand(9, 4, dtype=torch.float64).softmax(-1), torch.rand(9).double() + 0.1
    order = torch.randperm(9)
    for other in (universal_entropy(p, 5 * w), universal_entropy(p[order], w[order])):
        for a, b in zip(other, universal_entropy(p, w)):
            torch.testing.assert_close(a, b)


def test_the_mean_prediction_leans_towards_doubtful_samples():
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    mean = weighted_mean(p, 1 / torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(mean, (p[0] + 4 * p[1]) / 5)


def test_gradient_agrees_with_finite_differences():
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    w = torch.rand(5, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(
        lambda z: sum(universal_entropy(z.softmax(-1), w, 0.7)), (logits,)
    )


def test_a_thousand_classes_stay_finite():
    p = torch.full((64, 1000), 1e-3)
    assert all(t.isfinite() for t in universal_entropy(p, torch.full((64,), 1e-3)))
