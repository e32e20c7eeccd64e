"""Backbones and heads by name, SimpleNet, and the small functions beside them."""

import math

import pytest
import torch
from dassl.engine import SimpleNet
from dassl.metrics import compute_distance_matrix
from dassl.modeling import BACKBONE_REGISTRY, Backbone, build_backbone, build_head, build_network
from dassl.modeling.ops.utils import (
    create_onehot,
    ema_model_update,
    linear_rampup,
    reverse_index,
    sharpen_prob,
    shuffle_index,
    sigmoid_rampup,
)
from dassl.utils import ConfigValueError
from torch import nn


@BACKBONE_REGISTRY.register()
class Flat(Backbone):
    """(batch, 3, 8, 8) -> (batch, 5)."""

    def __init__(self, pretrained=False, **kwargs):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, 5)
        self._out_features = None if kwargs.get("silent") else 5
        self.pretrained = pretrained

    def forward(self, x):
        return self.layer(x.flatten(1))


def test_backbone_and_head_by_name(capsys):
    assert build_backbone("Flat", pretrained=True).pretrained
    assert capsys.readouterr().out == "Backbone: Flat\n"
    head = build_head("mlp", False, in_features=5, hidden_layers=[7, 4], dropout=0.5)
    kinds = [type(layer).__name__ for layer in head.mlp]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout"] * 2
    assert head.out_features == 4 and head(torch.rand(3, 5)).shape == (3, 4)
    options = {"hidden_layers": 6, "bn": False, "activation": "leaky_relu"}
    plain = build_head("mlp", False, in_features=5, **options)
    assert [type(layer).__name__ for layer in plain.mlp] == ["Linear", "LeakyReLU"]


def test_what_is_not_offered():
    with pytest.raises(ConfigValueError, match="'resnet17' is not registered; did you mean"):
        build_backbone("resnet17")
    with pytest.raises(ConfigValueError, match="is not part of this engine; Dassl has it"):
        build_backbone("resnet50_dynamic_ms_l12")
    with pytest.raises(ConfigValueError, match="did you mean 'Flat'"):
        build_backbone("flatt")
    with pytest.raises(ConfigValueError, match="NETWORK_REGISTRY.register()"):
        build_network("unet")
    with pytest.raises(ConfigValueError, match="registered: mlp"):
        build_head("cosine")
    with pytest.raises(ConfigValueError, match="HEAD.ACTIVATION: 'gelu' is unknown"):
        build_head("mlp", hidden_layers=[3], activation="gelu")
    with pytest.raises(ConfigValueError, match="HEAD.HIDDEN_LAYERS"):
        build_head("mlp")


def test_simple_net(make_cfg):
    cfg = make_cfg("MODEL.BACKBONE.NAME", "Flat")
    images = torch.rand(2, 3, 8, 8)
    net = SimpleNet(cfg, cfg.MODEL, 3)
    assert net.head is None and net.fdim == 5 and net.backbone.pretrained
    logits, features = net(images, return_feature=True)
    assert torch.equal(net.classifier(features), logits) and torch.equal(net(images), logits)
    assert SimpleNet(cfg, cfg.MODEL, 0)(images).shape == (2, 5)
    cfg.merge_from_list(["MODEL.HEAD.NAME", "mlp", "MODEL.HEAD.HIDDEN_LAYERS", (6, 4)])
    net = SimpleNet(cfg, cfg.MODEL, 3)
    assert net.fdim == 4 and net(images).shape == (2, 3)
    with pytest.raises(ConfigValueError, match="'Flat' has no out_features"):
        SimpleNet(cfg, cfg.MODEL, 3, silent=True)


def test_probabilities_and_labels():
    p = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    assert torch.allclose(sharpen_prob(p, 2), torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
    assert create_onehot(torch.tensor([2, 0]), 3).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    data, label = torch.arange(6).view(3, 2), torch.arange(3)
    for mix in (reverse_index, shuffle_index):
        mixed, labels = mix(data, label)
        assert torch.equal(mixed[:, 0], 2 * labels) and sorted(labels.tolist()) == [0, 1, 2]
    assert reverse_index(data, label)[1].tolist() == [2, 1, 0]


def test_ramps():
    assert [linear_rampup(step, 4) for step in (-1, 1, 9)] == [0.0, 0.25, 1.0]
    assert sigmoid_rampup(2, 4) == pytest.approx(math.exp(-1.25)) and sigmoid_rampup(9, 4) == 1.0
    with pytest.raises(ConfigValueError, match="must be positive, not 0"):
        sigmoid_rampup(1, 0)


def test_moving_average():
    model, average = nn.Linear(2, 1), nn.Linear(2, 1)
    expected = 0.9 * average.weight.detach() + 0.1 * model.weight.detach()
    ema_model_update(model, average, 0.9)
    assert torch.allclose(average.weight, expected) and average.weight.requires_grad


def test_distances():
    a, b = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0]])
    assert compute_distance_matrix(a, b).tolist() == [[4.0], [13.0]]
    assert compute_distance_matrix(a, b, "cosine").tolist() == [[0.0], [1.0]]
    with pytest.raises(ConfigValueError, match="equally long rows"):
        compute_distance_matrix(a, torch.ones(1, 3))
    with pytest.raises(ConfigValueError, match="metric: 'l1' is unknown"):
        compute_distance_matrix(a, b, "l1")
