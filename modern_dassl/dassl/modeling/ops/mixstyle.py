"""MixStyle: mix the means and deviations of two images' features.

Zhou et al., Domain Generalization with MixStyle, ICLR 2021.
"""

from dassl.modeling.ops.feature_mixing import FeatureMixing, switches
from torch import Tensor


class MixStyle(FeatureMixing):
    """Normalises features by image and channel, then applies mixed deviations and means."""

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True).detach()
        deviation = (x.var(dim=(2, 3), keepdim=True) + self.eps).sqrt().detach()
        new_mean = weight * mean + (1 - weight) * mean[other]
        new_deviation = weight * deviation + (1 - weight) * deviation[other]
        return (x - mean) / deviation * new_deviation + new_mean


(activate_mixstyle, deactivate_mixstyle, random_mixstyle, crossdomain_mixstyle, run_with_mixstyle,
 run_without_mixstyle) = switches(MixStyle)
