"""Backbones by name."""

from dassl.modeling.backbone import (  # noqa: F401 (they register)
    alexnet,
    cnn_digits,
    efficientnet,
    mobilenet,
    preact,
    resnet,
    vgg,
)
from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY, build_backbone

from modern_dassl.left_out import refused_by
from modern_dassl.lent_names import alias, lend_below

_BUILT_IN = {name: BACKBONE_REGISTRY.get(name) for name in BACKBONE_REGISTRY.registered_names()}
globals().update(_BUILT_IN)  # alexnet becomes the function, not the module
__getattr__ = refused_by(__name__)
for _name, _ours, _names in (
    ("cnn_digit5_m3sda", cnn_digits, "cnn_digit5_m3sda FeatureExtractor=Digit5Net"),
    ("cnn_digitsdg", cnn_digits, "cnn_digitsdg ConvNet=DigitsDGNet"),
    ("cnn_digitsingle", cnn_digits, "cnn_digitsingle CNN=SingleDigitNet"),
    ("preact_resnet18", preact, "preact_resnet18 PreActBlock PreActResNet"),
    ("wide_resnet", preact, "wide_resnet_16_4 wide_resnet_28_2 WideResNet"),
):
    alias(f"{__name__}.{_name}", _ours, _names)
lend_below(__name__)
