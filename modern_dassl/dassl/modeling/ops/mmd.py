"""Maximum mean discrepancy of two sets of features. Gretton et al., JMLR 2012."""

import torch
from dassl.utils import ConfigValueError
from torch import Tensor, nn
from torch.nn import functional as F

BANDWIDTHS = (1, 5, 10)  # of the Gaussian kernels


class MaximumMeanDiscrepancy(nn.Module):
    """mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over pairs of different rows.

    kernel_type: linear, x.y; poly, (x.y + 2)^2; rbf, a sum of Gaussians of three bandwidths.
    normalize: divide each row by its length first.
    """

    def __init__(self, kernel_type: str = "rbf", normalize: bool = False):
        super().__init__()
        self.kernel_type, self.normalize = kernel_type, normalize
        if kernel_type not in ("linear", "poly", "rbf"):
            raise ConfigValueError(f"kernel_type must be linear, poly or rbf, not {kernel_type!r}")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """x: (n, features). y: (m, features)."""
        if self.normalize:
            x, y = F.normalize(x, dim=1), F.normalize(y, dim=1)
        within = _off_diagonal(self.kernel(x, x)).mean() + _off_diagonal(self.kernel(y, y)).mean()
        return within - 2 * self.kernel(x, y).mean()

    def kernel(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the (n, m) values of the kernel."""
        if self.kernel_type == "linear":
            return x @ y.T
        if self.kernel_type == "poly":
            return (x @ y.T + 2) ** 2
        squared = x.square().sum(1, keepdim=True) + y.square().sum(1) - 2 * x @ y.T
        return sum(torch.exp(-squared / (2 * width**2)) for width in BANDWIDTHS)


def _off_diagonal(square: Tensor) -> Tensor:
    return square[~torch.eye(len(square), dtype=torch.bool, device=square.device)]
