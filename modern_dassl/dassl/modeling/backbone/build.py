"""The registry of backbones."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

BACKBONE_REGISTRY = Registry("BACKBONE")


def build_backbone(name: str, verbose: bool = True, **kwargs):
    """The backbone of that name. Raises ConfigValueError for an unknown one."""
    return build_registered(BACKBONE_REGISTRY, "backbone", name, verbose, **kwargs)
