"""Base of backbones."""

from torch import nn


class Backbone(nn.Module):
    """Maps images to features (batch, out_features). A subclass sets _out_features."""

    _out_features: int | None = None

    @property
    def out_features(self) -> int | None:
        """The number of features; None if the subclass does not set it."""
        return self._out_features
