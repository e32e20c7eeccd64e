"""Three convolutions and two linear layers for images of digits.

Peng et al., Moment Matching for Multi-Source Domain Adaptation, ICCV 2019.
"""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.digit_network import DigitNetwork
from torch import Tensor, nn
from torch.nn import functional as F


class FeatureExtractor(DigitNetwork):
    """(batch, 3, 32, 32) -> (batch, 2048)."""

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
def cnn_digit5_m3sda(**kwargs) -> FeatureExtractor:
    return FeatureExtractor()
