"""Four convolutions for images of digits. Zhou et al., DDAIG, AAAI 2020."""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.digit_network import DigitNetwork
from dassl.utils import init_network_weights
from torch import Tensor, nn
from torch.nn import functional as F


class _Convolution(nn.Module):
    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.conv(x)), 2)


class ConvNet(DigitNetwork):
    """(batch, 3, 32, 32) -> (batch, 4 * c_hidden)."""

    def __init__(self, c_hidden: int = 64):
        super().__init__()
        for i in range(4):
            self.add_module(f"conv{i + 1}", _Convolution(c_hidden if i else 3, c_hidden))
        self._out_features = 4 * c_hidden

    def features(self, x: Tensor) -> Tensor:
        return self.conv4(self.conv3(self.conv2(self.conv1(x)))).flatten(1)


@BACKBONE_REGISTRY.register()
def cnn_digitsdg(**kwargs) -> ConvNet:
    model = ConvNet()
    init_network_weights(model, init_type="kaiming")
    return model
