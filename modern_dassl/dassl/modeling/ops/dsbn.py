"""Batch normalisation with separate layers per domain.

Chang et al., Domain-Specific Batch Normalization for Unsupervised Domain Adaptation, CVPR 2019.
"""

from dassl.utils import ConfigValueError
from torch import Tensor, nn


class _DSBN(nn.Module):
    """Normalises by the layer of the domain last chosen by select_bn; initially the first."""

    layer: type[nn.Module]

    def __init__(self, num_features: int, n_domain: int):
        super().__init__()
        self.bn = nn.ModuleList(self.layer(num_features) for _ in range(n_domain))
        self.n_domain = n_domain
        self.domain_idx = 0

    def select_bn(self, domain_idx: int = 0) -> None:
        if not 0 <= domain_idx < self.n_domain:
            raise ConfigValueError(f"there is no domain {domain_idx}; there are {self.n_domain}")
        self.domain_idx = domain_idx

    def forward(self, x: Tensor) -> Tensor:
        return self.bn[self.domain_idx](x)


class DSBN1d(_DSBN):
    layer = nn.BatchNorm1d


class DSBN2d(_DSBN):
    layer = nn.BatchNorm2d
