"""Residual networks without their classifier, with MixStyle or EFDMix after some stages.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016. Blocks and weights are
torchvision's, which is imported lazily.
"""

from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.weights import cut, imagenet_weights
from dassl.modeling.ops import EFDMix, MixStyle
from dassl.utils import ConfigValueError
from torch import Tensor

STAGES = {  # depth: (kind of block, blocks per stage)
    18: ("BasicBlock", (2, 2, 2, 2)),
    34: ("BasicBlock", (3, 4, 6, 3)),
    50: ("Bottleneck", (3, 4, 6, 3)),
    101: ("Bottleneck", (3, 4, 23, 3)),
    152: ("Bottleneck", (3, 8, 36, 3)),
}


class ResNet(Backbone):
    """(batch, 3, height, width) -> (batch, 512 * block.expansion).

    block, layers: torchvision's BasicBlock or Bottleneck, and their number in each of four stages.
    ms_class: MixStyle or EFDMix; one layer (probability ms_p, Beta(ms_a, ms_a)) is shared by all
    ms_layers, a list of "layer1", "layer2" and "layer3".
    """

    def __init__(self, block, layers, ms_class=None, ms_layers=(), ms_p=0.5, ms_a=0.1, **kwargs):
        from torchvision.models.resnet import ResNet as Whole

        super().__init__()
        if unknown := set(ms_layers) - {"layer1", "layer2", "layer3"}:
            raise ConfigValueError(f"features are mixed after layer1 to layer3, not {unknown}")
        whole = cut(Whole, block, layers)
        for name in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(name, getattr(whole, name))
        self.global_avgpool = whole.avgpool
        self._out_features = 512 * block.expansion
        self.ms_layers = list(ms_layers)
        self.mixstyle = ms_class(p=ms_p, alpha=ms_a) if ms_layers else None

    def featuremaps(self, x: Tensor) -> Tensor:
        """Return the last stage's features, (batch, channels, height / 32, width / 32)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = getattr(self, name)(x)
            if name in self.ms_layers:
                x = self.mixstyle(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.global_avgpool(self.featuremaps(x)).flatten(1)


def build_resnet(depth: int, pretrained: bool, ms_class=None, ms_layers=()) -> ResNet:
    """Build the network of a depth in STAGES. pretrained: load torchvision's ImageNet weights."""
    from torchvision.models import resnet

    kind, layers = STAGES[depth]
    model = ResNet(getattr(resnet, kind), layers, ms_class, ms_layers)
    if pretrained:
        model.load_state_dict(imagenet_weights(f"resnet{depth}"), strict=False)
    return model


def _register(name: str, depth: int, ms_class=None, ms_layers=()):
    def build(pretrained: bool = True, **kwargs) -> ResNet:
        return build_resnet(depth, pretrained, ms_class, ms_layers)

    build.__name__ = build.__qualname__ = name
    return BACKBONE_REGISTRY.register(build)


for _depth in STAGES:
    globals()[f"resnet{_depth}"] = _register(f"resnet{_depth}", _depth)
for _depth in (18, 50, 101):
    for _short, _mixing in (("ms", MixStyle), ("efdmix", EFDMix)):
        for _stages in ("1", "12", "123"):  # resnet18_ms_l12: MixStyle after layer1 and layer2
            _name = f"resnet{_depth}_{_short}_l{_stages}"
            globals()[_name] = _register(
                _name, _depth, _mixing, tuple(f"layer{stage}" for stage in _stages)
            )
