"""torchvision's networks and weights, without the classifier; torchvision is imported lazily.
"""

import warnings

from torch import nn
from torch.hub import load_state_dict_from_url


def cut(build, *args) -> nn.Module:
    """Build a torchvision network whose last layer has no outputs.

    That layer draws no random numbers, so the random state is the same as without it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
        return build(*args, num_classes=0)


def imagenet_weights(name: str) -> dict:
    """Return the ImageNet weights (IMAGENET1K_V1) of torchvision's network `name`, from
    torchvision's cache or the net."""
    from torchvision.models import get_model_weights

    return get_model_weights(name).IMAGENET1K_V1.get_state_dict(progress=True)


class _Urls(dict):
    """{torchvision's network: URL of its ImageNet weights}, resolved lazily."""

    def __missing__(self, name: str) -> str:
        from torchvision.models import get_model_weights

        return get_model_weights(name).IMAGENET1K_V1.url


model_urls = _Urls()


def init_pretrained_weights(model: nn.Module, model_url: str) -> None:
    """Load those weights at `model_url` that the model has."""
    weights = load_state_dict_from_url(model_url, weights_only=True)
    model.load_state_dict(weights, strict=False)


def without_classifier(name: str, pretrained: bool) -> nn.Module:
    """Build torchvision's network `name` without its last linear layer; set `out_features`."""
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    # EfficientNet divides by the number of outputs
    model = build(num_classes=1) if name.startswith("efficientnet") else cut(build)
    *kept, last = model.classifier
    model.classifier = nn.Sequential(*kept)
    model.out_features = last.in_features
    if pretrained:
        model.load_state_dict(imagenet_weights(name), strict=False)
    return model
