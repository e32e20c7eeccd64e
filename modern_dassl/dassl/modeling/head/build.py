"""The registry of heads."""

from dassl.modeling.registered import build_registered
from dassl.utils import Registry

HEAD_REGISTRY = Registry("HEAD")


def build_head(name: str, verbose: bool = True, **kwargs):
    """The head of that name. Raises ConfigValueError for an unknown one."""
    return build_registered(HEAD_REGISTRY, "head", name, verbose, **kwargs)
