"""Base of the networks for 32 x 32 images of digits."""

from dassl.modeling.backbone.backbone import Backbone
from dassl.utils import ConfigValueError
from torch import Tensor


class DigitNetwork(Backbone):
    """Checks the size of the images. A subclass defines features(x)."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (32, 32):
            height, width = x.shape[2:]
            raise ConfigValueError(
                f"{type(self).__name__} takes images of 32 x 32 pixels, not {height} x {width}; "
                "set INPUT.SIZE to (32, 32)"
            )
        return self.features(x)
