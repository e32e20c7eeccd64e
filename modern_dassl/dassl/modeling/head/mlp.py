"""A head of fully connected layers."""

from dassl.modeling.head.build import HEAD_REGISTRY
from dassl.utils import ConfigValueError, check_availability
from torch import Tensor, nn

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}


class MLP(nn.Module):
    """(batch, in_features) -> (batch, hidden_layers[-1]), with optional BatchNorm and dropout.

    Raise ConfigValueError if there is no layer, and for an unknown activation.
    """

    def __init__(
        self, in_features=2048, hidden_layers=(), activation="relu", bn=True, dropout=0.0
    ):
        super().__init__()
        sizes = [hidden_layers] if isinstance(hidden_layers, int) else list(hidden_layers)
        if not sizes:
            raise ConfigValueError("an MLP needs at least one layer: MODEL.HEAD.HIDDEN_LAYERS")
        check_availability(activation, list(ACTIVATIONS), "MODEL.HEAD.ACTIVATION")
        layers = []
        for size in sizes:
            layers.append(nn.Linear(in_features, size))
            if bn:
                layers.append(nn.BatchNorm1d(size))
            layers.append(ACTIVATIONS[activation](inplace=True))
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            in_features = size
        self.mlp = nn.Sequential(*layers)
        self.out_features = in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


@HEAD_REGISTRY.register()
def mlp(**kwargs) -> MLP:
    """Build the head "mlp"."""
    return MLP(**kwargs)
