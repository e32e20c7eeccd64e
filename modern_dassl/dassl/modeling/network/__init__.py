"""Whole networks by name."""

from dassl.modeling.network.build import NETWORK_REGISTRY, build_network
from dassl.modeling.network.ddaig_fcn import (
    fcn_3x32_gctx,
    fcn_3x32_gctx_stn,
    fcn_3x64_gctx,
    fcn_3x64_gctx_stn,
)
