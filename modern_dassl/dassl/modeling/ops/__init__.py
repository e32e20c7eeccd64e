"""Layers, mixing of images and features, distances and losses for models and trainers."""

from dassl.modeling.ops.attention import Attention
from dassl.modeling.ops.conv import Conv2dDynamic
from dassl.modeling.ops.cross_entropy import cross_entropy
from dassl.modeling.ops.dsbn import DSBN1d, DSBN2d
from dassl.modeling.ops.efdmix import (
    EFDMix,
    activate_efdmix,
    crossdomain_efdmix,
    deactivate_efdmix,
    random_efdmix,
    run_with_efdmix,
    run_without_efdmix,
)
from dassl.modeling.ops.mixstyle import (
    MixStyle,
    activate_mixstyle,
    crossdomain_mixstyle,
    deactivate_mixstyle,
    random_mixstyle,
    run_with_mixstyle,
    run_without_mixstyle,
)
from dassl.modeling.ops.mixup import mixup
from dassl.modeling.ops.mmd import MaximumMeanDiscrepancy
from dassl.modeling.ops.optimal_transport import MinibatchEnergyDistance, SinkhornDivergence
from dassl.modeling.ops.reverse_grad import ReverseGrad
from dassl.modeling.ops.sequential2 import Sequential2
from dassl.modeling.ops.transnorm import TransNorm1d, TransNorm2d
