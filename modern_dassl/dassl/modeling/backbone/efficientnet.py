"""EfficientNet of torchvision, without its classifier. Tan and Le, ICML 2019.

Genuine Dassl's network uses other padding and weights of another training.
"""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.weights import without_classifier

__path__: list[str] = []  # a package in Dassl; imports from its modules raise left_out's error


def _register(size: int):
    def build(pretrained: bool = True, **kwargs):
        return without_classifier(f"efficientnet_b{size}", pretrained)

    build.__name__ = build.__qualname__ = f"efficientnet_b{size}"
    return BACKBONE_REGISTRY.register(build)


for _size in range(8):
    globals()[f"efficientnet_b{_size}"] = _register(_size)
