"""Networks for 32 x 32 images of digits."""

from dassl.modeling.backbone.backbone import Backbone
from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.utils import ConfigValueError, init_network_weights
from torch import Tensor, nn
from torch.nn import functional as F


class _DigitNet(Backbone):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (32, 32):
            height, width = x.shape[2:]
            raise ConfigValueError(
                f"{type(self).__name__} takes images of 32 x 32 pixels, not {height} x {width}; "
                "set INPUT.SIZE to (32, 32)"
            )
        return self.features(x)


class _Convolution(nn.Module):
    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.conv(x)), 2)


class DigitsDGNet(_DigitNet):
    """Four convolutions, (batch, 3, 32, 32) -> (batch, 4 * c_hidden).

    Zhou et al., DDAIG, AAAI 2020.
    """

    def __init__(self, c_hidden: int = 64):
        super().__init__()
        for i in range(4):
            self.add_module(f"conv{i + 1}", _Convolution(c_hidden if i else 3, c_hidden))
        self._out_features = 4 * c_hidden

    def features(self, x: Tensor) -> Tensor:
        return self.conv4(self.conv3(self.conv2(self.conv1(x)))).flatten(1)


class SingleDigitNet(_DigitNet):
    """Two convolutions and two linear layers, (batch, 3, 32, 32) -> (batch, 1024).

    Volpi et al., Generalizing to Unseen Domains via Adversarial Data Augmentation, NeurIPS 2018.
    """

    _out_features = 1024

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 5)
        self.conv2 = nn.Conv2d(64, 128, 5)
        self.fc3 = nn.Linear(5 * 5 * 128, 1024)
        self.fc4 = nn.Linear(1024, 1024)

    def features(self, x: Tensor) -> Tensor:
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return F.relu(self.fc4(F.relu(self.fc3(x.flatten(1)))))


class Digit5Net(_DigitNet):
    """Three convolutions and two linear layers, (batch, 3, 32, 32) -> (batch, 2048).

    Peng et al., Moment Matching for Multi-Source Domain Adaptation, ICCV 2019.
    """

    _out_features = 2048

    def __init__(self):
        super().__init__()
        channels = (3, 64, 64, 128)
        for i in (1, 2, 3):
            self.add_module(f"conv{i}", nn.Conv2d(channels[i - 1], channels[i], 5, padding=2))
            self.add_module(f"bn{i}", nn.BatchNorm2d(channels[i]))
        self.fc1 = nn.Linear(8192, 3072)
        self.bn1_fc = nn.BatchNorm1d(3072)
        self.fc2 = nn.Linear(3072, 2048)
        self.bn2_fc = nn.BatchNorm1d(2048)

    def features(self, x: Tensor) -> Tensor:
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2)):
            x = F.max_pool2d(F.relu(norm(conv(x))), 3, stride=2, padding=1)
        x = F.relu(self.bn3(self.conv3(x))).flatten(1)
        x = F.dropout(F.relu(self.bn1_fc(self.fc1(x))), training=self.training)
        return F.relu(self.bn2_fc(self.fc2(x)))


@BACKBONE_REGISTRY.register()
def cnn_digitsdg(**kwargs) -> DigitsDGNet:
    model = DigitsDGNet()
    init_network_weights(model, init_type="kaiming")
    return model


@BACKBONE_REGISTRY.register()
def cnn_digitsingle(**kwargs) -> SingleDigitNet:
    model = SingleDigitNet()
    init_network_weights(model, init_type="kaiming")
    return model


@BACKBONE_REGISTRY.register()
def cnn_digit5_m3sda(**kwargs) -> Digit5Net:
    return Digit5Net()
