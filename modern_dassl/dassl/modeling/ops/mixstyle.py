"""MixStyle: mix the means and deviations of two images' features.

Zhou et al., Domain Generalization with MixStyle, ICLR 2021.
"""

from dassl.modeling.ops.feature_mixing import FeatureMixing, switched
from torch import Tensor


class MixStyle(FeatureMixing):
    """Features normalised by image and channel get mixed deviations and means."""

    def mixed(self, x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
        mean = x.mean(dim=(2, 3), keepdim=True).detach()
        deviation = (x.var(dim=(2, 3), keepdim=True) + self.eps).sqrt().detach()
        new_mean = weight * mean + (1 - weight) * mean[other]
        new_deviation = weight * deviation + (1 - weight) * deviation[other]
        return (x - mean) / deviation * new_deviation + new_mean


# for model.apply(...)


def activate_mixstyle(m) -> None:
    if isinstance(m, MixStyle):
        m.set_activation_status(True)


def deactivate_mixstyle(m) -> None:
    if isinstance(m, MixStyle):
        m.set_activation_status(False)


def random_mixstyle(m) -> None:
    if isinstance(m, MixStyle):
        m.update_mix_method("random")


def crossdomain_mixstyle(m) -> None:
    if isinstance(m, MixStyle):
        m.update_mix_method("crossdomain")


def run_with_mixstyle(model, mix: str | None = None):
    """Within the block the model mixes (`mix`: random, crossdomain), afterwards it does not."""
    return switched(model, MixStyle, True, mix)


def run_without_mixstyle(model):
    """Within the block the model does not mix, afterwards it does."""
    return switched(model, MixStyle, False)
