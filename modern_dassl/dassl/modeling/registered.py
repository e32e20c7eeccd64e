"""Shared by the three registries."""

from dassl.utils import ConfigValueError, Registry
from dassl.utils.errors import nearest


def build_registered(registry: Registry, what: str, name: str, verbose: bool, **kwargs):
    """Call the object registered under `name` with `kwargs`.

    what: such as "backbone", for messages. Raise ConfigValueError for an unknown name.
    """
    if name not in registry:
        known = registry.registered_names()
        raise ConfigValueError(
            f"{what} {name!r} is not registered{nearest(name, known)} "
            f"(registered: {', '.join(known) or 'none'}); register yours with "
            f"{what.upper()}_REGISTRY.register()"
        )
    if verbose:
        print(f"{what.capitalize()}: {name}")
    return registry.get(name)(**kwargs)
