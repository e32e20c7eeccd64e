"""EFDMix: mix the whole distributions of two images' features, not only their first two moments.

Zhang et al., Exact Feature Distribution Matching for Arbitrary Style Transfer and Domain
Generalization, CVPR 2022.
"""

from dassl.modeling.ops.feature_mixing import FeatureMixing, switches
from torch import Tensor


class EFDMix(FeatureMixing):
    """Moves each value towards the value of the same rank in the other image's channel."""

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
        values = x.flatten(2)
        ordered, order = values.sort()
        target = ordered[other].gather(-1, order.argsort(-1))
        return (values + (target - values.detach()) * (1 - weight[..., 0])).view_as(x)


(activate_efdmix, deactivate_efdmix, random_efdmix, crossdomain_efdmix, run_with_efdmix,
 run_without_efdmix) = switches(EFDMix)
