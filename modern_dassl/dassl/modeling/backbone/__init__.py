"""Backbones by name."""

from dassl.modeling.backbone import efficientnet
from dassl.modeling.backbone.alexnet import alexnet
from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY, build_backbone
from dassl.modeling.backbone.cnn_digits import cnn_digit5_m3sda, cnn_digitsdg, cnn_digitsingle
from dassl.modeling.backbone.mobilenet import mobilenet_v2
from dassl.modeling.backbone.preact import preact_resnet18, wide_resnet_16_4, wide_resnet_28_2
from dassl.modeling.backbone.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from dassl.modeling.backbone.vgg import vgg16

from modern_dassl.left_out import refused_by

__all__ = [
    "BACKBONE_REGISTRY",
    "Backbone",
    "alexnet",
    "build_backbone",
    "cnn_digit5_m3sda",
    "cnn_digitsdg",
    "cnn_digitsingle",
    "efficientnet",
    "mobilenet_v2",
    "preact_resnet18",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg16",
    "wide_resnet_16_4",
    "wide_resnet_28_2",
]
__getattr__ = refused_by(__name__)
