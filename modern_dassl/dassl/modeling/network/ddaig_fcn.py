"""Networks that perturb images, for DDAIG.

Zhou et al., Deep Domain-Adversarial Image Generation for Domain Generalisation, AAAI 2020.
"""

import torch
from dassl.modeling.network.build import NETWORK_REGISTRY
from dassl.utils import init_network_weights
from torch import Tensor, nn
from torch.nn import functional as F


def _conv3(c_in: int, c_out: int, norm: type[nn.Module], reflect: bool) -> list[nn.Module]:
    pad = [nn.ReflectionPad2d(1)] if reflect else []
    conv = nn.Conv2d(c_in, c_out, 3, padding=0 if reflect else 1, bias=False)
    return [*pad, conv, norm(c_out)]


class _ResnetBlock(nn.Module):
    """x plus two convolutions of x."""

    def __init__(self, channels: int, norm: type[nn.Module], reflect: bool):
        super().__init__()
        self.conv_block = nn.Sequential(
            *_conv3(channels, channels, norm, reflect),
            nn.ReLU(True),
            *_conv3(channels, channels, norm, reflect),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class _LocNet(nn.Module):
    """Predicts affine matrices (batch, 2, 3) without a shift, by which a spatial transformer
    rotates and scales each image; initially tanh of the identity."""

    def __init__(self, channels: int, n_blocks: int, image_size: int):
        super().__init__()
        first = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        layers: list[nn.Module] = [first, nn.BatchNorm2d(channels), nn.ReLU(True)]
        for _ in range(n_blocks):
            layers += [_ResnetBlock(channels, nn.BatchNorm2d, reflect=False), nn.MaxPool2d(2)]
        self.backbone = nn.Sequential(*layers)
        side = int(image_size * 0.5 ** (n_blocks + 1))
        self.fc_loc = nn.Linear(channels * side**2, 4)

    def start_with_identity(self) -> None:
        nn.init.zeros_(self.fc_loc.weight)
        self.fc_loc.bias.data.copy_(torch.tensor([1.0, 0.0, 0.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        turn = torch.tanh(self.fc_loc(self.backbone(x).flatten(1))).view(-1, 2, 2)
        return torch.cat([turn, turn.new_zeros(len(turn), 2, 1)], 2)


class FCN(nn.Module):
    """x + lmda * perturbation, (batch, 3, height, width) to the same shape.

    nc: channels. gctx: fuse features with their mean over the image. stn: start with a spatial
    transformer for images of image_size.
    """

    def __init__(
        self, *, nc: int = 32, n_blocks: int = 3, gctx: bool = True, stn: bool = False,
        image_size: int = 32,
    ):
        super().__init__()
        norm = nn.InstanceNorm2d
        blocks = [_ResnetBlock(nc, norm, reflect=True) for _ in range(n_blocks)]
        self.backbone = nn.Sequential(*_conv3(3, nc, norm, True), nn.ReLU(True), *blocks)
        self.gctx_fusion = None
        if gctx:
            fuse = nn.Conv2d(2 * nc, nc, 1, bias=False)
            self.gctx_fusion = nn.Sequential(fuse, norm(nc), nn.ReLU(True))
        self.regress = nn.Sequential(nn.Conv2d(nc, 3, 1), nn.Tanh())
        self.locnet = _LocNet(nc, n_blocks, image_size) if stn else None

    def stn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (transformed images, matrices)."""
        theta = self.locnet(x)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False), theta

    def forward(
        self, x: Tensor, lmda: float = 1.0, return_p: bool = False, return_stn_output: bool = False
    ):
        """return_p: return the perturbation, too; return_stn_output: and the transformed images."""
        if self.locnet is not None:
            x, _ = self.stn(x)
        features = self.backbone(x)
        if self.gctx_fusion is not None:
            context = features.mean((2, 3), keepdim=True).expand_as(features)
            features = self.gctx_fusion(torch.cat([features, context], 1))
        perturbation = self.regress(features)
        perturbed = x + lmda * perturbation
        if return_stn_output:
            return perturbed, perturbation, x
        return (perturbed, perturbation) if return_p else perturbed


def _build(nc: int, stn: bool = False, image_size: int = 32) -> FCN:
    net = FCN(nc=nc, stn=stn, image_size=image_size)
    init_network_weights(net, init_type="normal", gain=0.02)
    if net.locnet is not None:
        net.locnet.start_with_identity()
    return net


@NETWORK_REGISTRY.register()
def fcn_3x32_gctx(**kwargs) -> FCN:
    return _build(32)


@NETWORK_REGISTRY.register()
def fcn_3x64_gctx(**kwargs) -> FCN:
    return _build(64)


@NETWORK_REGISTRY.register()
def fcn_3x32_gctx_stn(image_size: int = 32, **kwargs) -> FCN:
    return _build(32, True, image_size)


@NETWORK_REGISTRY.register()
def fcn_3x64_gctx_stn(image_size: int = 224, **kwargs) -> FCN:
    return _build(64, True, image_size)
