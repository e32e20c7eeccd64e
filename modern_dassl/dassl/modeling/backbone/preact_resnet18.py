"""Pre-activation residual networks for images of 32 x 32 pixels.

He et al., Identity Mappings in Deep Residual Networks, ECCV 2016. Weights have the names of genuine
Dassl's networks.
"""

from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from torch import Tensor, nn
from torch.nn import functional as F


class PreActBlock(nn.Module):
    """Two times norm, activation and 3 x 3 convolution, plus a shortcut, which is a 1 x 1
    convolution if the size changes."""

    activation = staticmethod(F.relu)

    def __init__(self, in_planes: int, planes: int, stride: int = 1):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = conv(in_planes, planes, 3, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = conv(planes, planes, 3, 1)
        self.changes_size = stride != 1 or in_planes != planes
        if self.changes_size:
            self.add_shortcut(conv(in_planes, planes, 1, stride))

    def add_shortcut(self, convolution: nn.Module) -> None:
        self.shortcut = nn.Sequential(convolution)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(self.bn1(x))
        shortcut = self.shortcut(active) if self.changes_size else x
        return shortcut + self.conv2(self.activation(self.bn2(self.conv1(active))))


class PreActResNet(Backbone):
    """Four stages of 64 to 512 channels, (batch, 3, 32, 32) -> (batch, 512).

    block: PreActBlock or a subclass. num_blocks: blocks per stage.
    """

    _out_features = 512

    def __init__(self, block: type[PreActBlock], num_blocks: tuple[int, ...]):
        super().__init__()
        self.conv1 = conv(3, 64, 3, 1)
        widths = (64, 64, 128, 256, 512)
        for i, number in enumerate(num_blocks, 1):
            stride = 1 if i == 1 else 2
            stage = residual_stage(block, widths[i - 1], widths[i], number, stride)
            self.add_module(f"layer{i}", stage)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((2, 3))


def conv(c_in: int, c_out: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, size, stride, padding=size // 2, bias=False)


def residual_stage(block: type, c_in: int, c_out: int, number: int, stride: int) -> nn.Sequential:
    sizes = [(c_in, stride)] + [(c_out, 1)] * (number - 1)
    return nn.Sequential(*(block(channels, c_out, step) for channels, step in sizes))


@BACKBONE_REGISTRY.register()
def preact_resnet18(**kwargs) -> PreActResNet:
    return PreActResNet(PreActBlock, (2, 2, 2, 2))
