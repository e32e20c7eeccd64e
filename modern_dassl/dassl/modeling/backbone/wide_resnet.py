"""Wide residual networks for images of 32 x 32 pixels.

Zagoruyko and Komodakis, Wide Residual Networks, BMVC 2016. Weights have the names of genuine
Dassl's networks.
"""

from collections import OrderedDict

from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.preact_resnet18 import PreActBlock, conv, residual_stage
from torch import Tensor, nn
from torch.nn import functional as F


class WideBlock(PreActBlock):
    activation = staticmethod(F.leaky_relu)

    def add_shortcut(self, convolution: nn.Module) -> None:
        self.convShortcut = convolution

    @property
    def shortcut(self) -> nn.Module:
        return self.convShortcut


class WideResNet(Backbone):
    """Three stages of 16 to 64 channels times `widen_factor`, (batch, 3, 32, 32) ->
    (batch, 64 * widen_factor). depth: 6 n + 4."""

    def __init__(self, depth: int, widen_factor: int):
        super().__init__()
        widths = (16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor)
        self.conv1 = conv(3, 16, 3, 1)
        for i in (1, 2, 3):
            stride = 1 if i == 1 else 2
            stage = residual_stage(WideBlock, widths[i - 1], widths[i], (depth - 4) // 6, stride)
            self.add_module(f"block{i}", nn.Sequential(OrderedDict(layer=stage)))
        self.bn1 = nn.BatchNorm2d(widths[3])
        self._out_features = widths[3]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return F.leaky_relu(self.bn1(x)).mean((2, 3))


@BACKBONE_REGISTRY.register()
def wide_resnet_28_2(**kwargs) -> WideResNet:
    return WideResNet(28, 2)


@BACKBONE_REGISTRY.register()
def wide_resnet_16_4(**kwargs) -> WideResNet:
    return WideResNet(16, 4)
