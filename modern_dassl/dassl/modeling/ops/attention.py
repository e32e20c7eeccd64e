"""Weights from pooled features. Sun et al., Dynamic Domain Generalization, IJCAI 2022."""

from dassl.utils import ConfigValueError
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """(batch, in_channels, height, width) -> (batch, out_features) that sum to 1.

    squeeze: width of the hidden layer; default in_channels / 16.
    """

    def __init__(
        self, in_channels: int, out_features: int, squeeze: int | None = None, bias: bool = True
    ):
        super().__init__()
        self.squeeze = squeeze or in_channels // 16
        if self.squeeze < 1:
            raise ConfigValueError(f"{in_channels} channels are too few to squeeze to a 16th")
        self.fc1 = nn.Linear(in_channels, self.squeeze, bias=bias)
        self.fc2 = nn.Linear(self.squeeze, out_features, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(x.mean((2, 3))))).softmax(-1)
