"""VGG of torchvision, without its classifier."""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.weights import without_classifier


@BACKBONE_REGISTRY.register()
def vgg16(pretrained: bool = True, **kwargs):
    """(batch, 3, 224, 224) -> (batch, 4096). Simonyan and Zisserman, ICLR 2015."""
    return without_classifier("vgg16", pretrained)
