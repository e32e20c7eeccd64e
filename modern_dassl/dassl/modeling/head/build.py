"""The registry of heads."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

HEAD_REGISTRY = Registry("HEAD")


def build_head(name: str, verbose: bool = True, **kwargs):
    """Build the named head. Raise ConfigValueError for an unknown name."""
    return build_registered(HEAD_REGISTRY, "head", name, verbose, **kwargs)
