"""Heads by name."""

from dassl.modeling.head.build import HEAD_REGISTRY, build_head
from dassl.modeling.head.mlp import MLP, mlp

from modern_dassl.lent_names import lend_below

lend_below(__name__)
