"""Backbones, heads and networks by name, and SimpleNet, which is built from them.

A project can register its own, and can replace ours.
"""

from dassl.modeling.backbone import BACKBONE_REGISTRY, Backbone, build_backbone
from dassl.modeling.head import HEAD_REGISTRY, build_head
from dassl.modeling.network import NETWORK_REGISTRY, build_network
from dassl.modeling.simple_net import SimpleNet

from modern_dassl.lent_names import lend_below

lend_below(__name__)
