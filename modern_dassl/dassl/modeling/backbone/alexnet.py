"""AlexNet of torchvision, without its classifier."""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.weights import without_classifier


@BACKBONE_REGISTRY.register()
def alexnet(pretrained: bool = True, **kwargs):
    """(batch, 3, 224, 224) -> (batch, 4096). Krizhevsky et al., NIPS 2012."""
    return without_classifier("alexnet", pretrained)
