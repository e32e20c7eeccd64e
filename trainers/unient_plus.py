"""UniEnt+ (Gao et al., CVPR 2024, arXiv:2404.06065): UniEnt without a hard split.

Reference: github.com/gaozhengqing/UniEnt, criterion "ent_unf". An image counts in both groups,
weighted by the probability w_i that it is known:

    L = mean_i w_i H(p_i) - unknown_weight * mean_i (1 - w_i) H(p_i) - trade_off * H(mean_i p_i)

The means are over the whole batch, as released.
"""

from dassl.engine import TRAINER_REGISTRY
from torch import Tensor

from ueo.trainers.unient import UniEnt


@TRAINER_REGISTRY.register()
class UniEntPlus(UniEnt):
    per_group = False

    def sides(self, share: Tensor) -> Tensor:
        return share
