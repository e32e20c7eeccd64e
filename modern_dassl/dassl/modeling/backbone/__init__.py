"""Backbones by name."""

from dassl.modeling.backbone import (  # noqa: F401 (they register)
    alexnet,
    cnn_digit5_m3sda,
    cnn_digitsdg,
    cnn_digitsingle,
    efficientnet,
    mobilenet,
    preact_resnet18,
    resnet,
    vgg,
    wide_resnet,
)
from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY, build_backbone

_BUILT_IN = {name: BACKBONE_REGISTRY.get(name) for name in BACKBONE_REGISTRY.registered_names()}
globals().update(_BUILT_IN)  # alexnet becomes the function, not the module
