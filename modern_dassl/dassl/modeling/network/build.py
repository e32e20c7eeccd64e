"""The registry of networks."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

NETWORK_REGISTRY = Registry("NETWORK")


def build_network(name: str, verbose: bool = True, **kwargs):
    """The network of that name. Raises ConfigValueError for an unknown one."""
    return build_registered(NETWORK_REGISTRY, "network", name, verbose, **kwargs)
