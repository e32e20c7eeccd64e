"""Two convolutions and two linear layers for images of digits.

Volpi et al., Generalizing to Unseen Domains via Adversarial Data Augmentation, NeurIPS 2018.
"""

from dassl.modeling.backbone.build import BACKBONE_REGISTRY
from dassl.modeling.backbone.digit_network import DigitNetwork
from dassl.utils import init_network_weights
from torch import Tensor, nn
from torch.nn import functional as F


class CNN(DigitNetwork):
    """(batch, 3, 32, 32) -> (batch, 1024)."""

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


@BACKBONE_REGISTRY.register()
def cnn_digitsingle(**kwargs) -> CNN:
    model = CNN()
    init_network_weights(model, init_type="kaiming")
    return model
