"""Base of backbones."""

from torch import nn


class Backbone(nn.Module):
    """Images to features, (batch, out_features). A subclass sets _out_features."""

    _out_features: int | None = None

    @property
    def out_features(self) -> int | None:
        """Number of features; None where the subclass does not say."""
        return self._out_features
