"""The registry of backbones."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

BACKBONE_REGISTRY = Registry("BACKBONE")


def build_backbone(name: str, verbose: bool = True, **kwargs):
    """Build the named backbone. Raise ConfigValueError for an unknown name."""
    return build_registered(BACKBONE_REGISTRY, "backbone", name, verbose, **kwargs)
