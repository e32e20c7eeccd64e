"""The registry of networks."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

NETWORK_REGISTRY = Registry("NETWORK")


def build_network(name: str, verbose: bool = True, **kwargs):
    """Build the named network. Raise ConfigValueError for an unknown name."""
    return build_registered(NETWORK_REGISTRY, "network", name, verbose, **kwargs)
