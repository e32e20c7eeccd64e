"""MobileNetV2 of torchvision, without its classifier. Genuine Dassl has none."""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.weights import without_classifier


@BACKBONE_REGISTRY.register()
def mobilenet_v2(pretrained: bool = True, **kwargs):
    """(batch, 3, height, width) -> (batch, 1280). Sandler et al., CVPR 2018."""
    return without_classifier("mobilenet_v2", pretrained)
