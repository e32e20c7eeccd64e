"""Layers, mixing and distances against formulas written out."""

import pytest
import torch
from dassl.modeling.ops import (
    Attention,
    Conv2dDynamic,
    DSBN2d,
    EFDMix,
    MaximumMeanDiscrepancy,
    MinibatchEnergyDistance,
    MixStyle,
    ReverseGrad,
    Sequential2,
    SinkhornDivergence,
    TransNorm2d,
    cross_entropy,
    mixup,
    run_with_mixstyle,
)
from dassl.utils import ConfigValueError
from torch import nn
from torch.nn import functional as F


def test_mixstyle_gives_the_other_images_statistics():
    layer = MixStyle(p=1.0, mix="crossdomain")
    layer.beta = torch.distributions.Beta(1e-6, 1e6)  # nothing of one's own statistics is kept
    x = torch.randn(4, 3, 5, 5)
    out = layer(x)
    halves = {tuple(v.tolist()) for v in x.mean((2, 3))[2:].round(decimals=3)}
    assert {tuple(v.tolist()) for v in out[:2].mean((2, 3)).round(decimals=3)} == halves
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(ConfigValueError, match="random or crossdomain, not 'both'"):
        MixStyle(p=1.0, mix="both")(x)


def test_efdmix_gives_the_other_images_values():
    layer = EFDMix(p=1.0)
    layer.beta = torch.distributions.Beta(1e-6, 1e6)
    x = torch.randn(2, 1, 3, 3)
    torch.manual_seed(1)  # a permutation that swaps
    while torch.randperm(2).tolist() != [1, 0]:
        pass
    layer.partners = lambda size: torch.tensor([1, 0])
    out = layer(x)
    assert torch.allclose(out.flatten(1).sort().values, x.flip(0).flatten(1).sort().values)
    assert torch.equal(out.flatten(1).argsort(), x.flatten(1).argsort())  # the order stays


def test_mixing_only_within_a_block():
    model = nn.Sequential(MixStyle(p=1.0), nn.Flatten())
    model[0].set_activation_status(False)
    x = torch.randn(4, 2, 3, 3)
    with run_with_mixstyle(model, mix="crossdomain"):
        assert model[0].mix == "crossdomain" and not torch.equal(model(x), x.flatten(1))
    assert torch.equal(model(x), x.flatten(1))


def test_mixup_is_nearer_to_the_first():
    ones, zeros = torch.ones(64, 1, 1, 1), torch.zeros(64, 1, 1, 1)
    x, y = mixup(ones, zeros, ones[..., 0, 0], zeros[..., 0, 0], 0.75, preserve_order=True)
    assert torch.equal(x.flatten(), y.flatten()) and 0.5 <= x.min() < x.max() <= 1


def test_reversed_gradient():
    x = torch.ones(3, requires_grad=True)
    (2 * ReverseGrad()(x, 0.5)).sum().backward()
    assert x.grad.tolist() == [-1.0] * 3
    with pytest.raises(ConfigValueError, match="negative"):
        ReverseGrad()(x, -1.0)


def test_cross_entropy_with_smoothing():
    logits, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    target = 0.9 * F.one_hot(labels, 4) + 0.1 / 4
    expected = -(target * logits.log_softmax(1)).sum(1)
    assert torch.allclose(cross_entropy(logits, labels, 0.1, "none"), expected)
    assert torch.allclose(cross_entropy(logits, labels, 0.1), expected.mean())
    with pytest.raises(ConfigValueError, match="mean, sum or none"):
        cross_entropy(logits, labels, reduction="max")


def test_normalisation_by_domain():
    layer, x = DSBN2d(3, 2), torch.randn(4, 3, 2, 2) + 5
    layer.select_bn(1)
    layer(x)
    assert layer.bn[0].running_mean.abs().sum() == 0 and layer.bn[1].running_mean.min() > 0.1
    with pytest.raises(ConfigValueError, match="no domain 2"):
        layer.select_bn(2)


def test_transferable_normalisation():
    layer = TransNorm2d(3, adaptive_alpha=False)
    x = torch.cat([torch.randn(8, 3, 4, 4), 3 + 2 * torch.randn(8, 3, 4, 4)])
    out = layer(x)
    assert out[:8].mean().abs() < 1e-5 and out[8:].mean().abs() < 1e-5  # each half by itself
    assert torch.allclose(layer.running_mean_t, 0.9 * x[8:].mean((0, 2, 3)), atol=1e-5)
    layer.adaptive_alpha = True
    ratio = x[:8].mean((0, 2, 3)) / (x[:8].transpose(0, 1).flatten(1).var(1) + 1e-5).sqrt()
    other = x[8:].mean((0, 2, 3)) / (x[8:].transpose(0, 1).flatten(1).var(1) + 1e-5).sqrt()
    near = 1 / (1 + (ratio - other).abs())
    alpha = 3 * near / near.sum()
    assert torch.allclose(layer(x), out * (1 + alpha.view(1, 3, 1, 1)), atol=1e-4)
    with pytest.raises(ConfigValueError, match="two equal halves"):
        layer(x[:3])


def test_distances_are_zero_for_equal_sets_and_grow():
    x = torch.randn(8, 4)
    for kernel in ("linear", "poly", "rbf"):
        measure = MaximumMeanDiscrepancy(kernel)
        assert measure(x, x + 3) > measure(x, x + 0.1)
    assert SinkhornDivergence("fast_euclidean")(x, x).abs() < 1e-4
    halves = MinibatchEnergyDistance("euclidean", max_iter=50)
    assert halves(x, x + 3) > halves(x, x.flip(0))


def test_transport_between_two_pairs():
    """One obvious plan: each point to its neighbour, cost 1."""
    a, b = torch.tensor([[0.0, 0], [10, 0]]), torch.tensor([[0.0, 1], [10, 1]])
    measure = SinkhornDivergence("fast_euclidean", eps=0.1, max_iter=50)
    cost, plan = measure.transport_cost(a, b, return_pi=True)
    assert cost.item() == pytest.approx(1, abs=1e-3)
    assert torch.allclose(plan, torch.eye(2) / 2, atol=1e-3)


def test_dynamic_convolution():
    layer, x = Conv2dDynamic(16, 8, 3, 2, 1, bias=False), torch.randn(2, 16, 7, 7)
    weights = layer.attention(x)
    assert torch.allclose(weights.sum(1), torch.ones(2)) and weights.shape == (2, 4)
    parts = torch.stack([t(x) for t in layer.kernel_templates.values()], 1)
    expected = layer.conv(x) + (weights[..., None, None, None] * parts).sum(1)
    assert torch.allclose(layer(x), expected, atol=1e-5)
    with pytest.raises(ConfigValueError, match="kernel_size must be odd"):
        Conv2dDynamic(16, 8, 2, 1, 1)
    with pytest.raises(ConfigValueError, match="too few"):
        Attention(8, 4)


def test_sequence_with_several_inputs():
    class Swap(nn.Module):
        def forward(self, a, b):
            return b, a

    assert Sequential2(Swap(), Swap(), Swap())(1, 2) == (2, 1)
