"""EFDMix: mix the whole distributions of two images' features, not their first two moments alone.

Zhang et al., Exact Feature Distribution Matching for Arbitrary Style Transfer and Domain
Generalization, CVPR 2022.
"""

from dassl.modeling.ops.feature_mixing import FeatureMixing, switched
from torch import Tensor


class EFDMix(FeatureMixing):
    """Each value moves towards the value of the same rank in the other image's channel."""

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
        values = x.flatten(2)
        ordered, order = values.sort()
        target = ordered[other].gather(-1, order.argsort(-1))
        return (values + (target - values.detach()) * (1 - weight[..., 0])).view_as(x)


# for model.apply(...)


def activate_efdmix(m) -> None:
    if isinstance(m, EFDMix):
        m.set_activation_status(True)


def deactivate_efdmix(m) -> None:
    if isinstance(m, EFDMix):
        m.set_activation_status(False)


def random_efdmix(m) -> None:
    if isinstance(m, EFDMix):
        m.update_mix_method("random")


def crossdomain_efdmix(m) -> None:
    if isinstance(m, EFDMix):
        m.update_mix_method("crossdomain")


def run_with_efdmix(model, mix: str | None = None):
    """Within the block the model mixes (`mix`: random, crossdomain), afterwards it does not."""
    return switched(model, EFDMix, True, mix)


def run_without_efdmix(model):
    """Within the block the model does not mix, afterwards it does."""
    return switched(model, EFDMix, False)
