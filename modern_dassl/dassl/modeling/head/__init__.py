"""Heads by name."""

from dassl.modeling.head.build import HEAD_REGISTRY, build_head
from dassl.modeling.head.mlp import MLP, mlp
