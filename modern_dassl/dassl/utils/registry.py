"""Classes by name, for configurations to choose from."""

from dassl.utils.errors import RegistryKeyError, nearest


class Registry:
    """Name -> class or function.

        TRAINERS = Registry("TRAINER")

        @TRAINERS.register()
        class Mine: ...

        TRAINERS.get("Mine")
    """

    def __init__(self, name: str):
        self._name = name
        self._obj_map: dict = {}

    def register(self, obj=None, force: bool = False):
        """Register `obj` under its own name, or return the decorator that does so.

        A project's object replaces one of this package with the same name, and a line is printed.
        Raise RegistryKeyError (a KeyError) for any other name in use, unless `force`.
        """
        if obj is None:
            return lambda target: self.register(target, force)
        name = obj.__name__
        taken = name in self._obj_map and not force
        if taken and _is_built_in(self._obj_map[name]) and not _is_built_in(obj):
            print(f"{self._name}: {name} of {obj.__module__} takes the place of the engine's own")
        elif taken:
            raise RegistryKeyError(
                f"{name!r} is registered already in the {self._name} registry; rename it, or "
                "register it with force=True"
            )
        self._obj_map[name] = obj
        return obj

    def get(self, name: str):
        """Return the object registered under `name`. Raise RegistryKeyError if there is none."""
        if name not in self._obj_map:
            known = self.registered_names()
            raise RegistryKeyError(
                f"{name!r} is not in the {self._name} registry{nearest(name, known)}; "
                f"known: {', '.join(known) or 'none'}"
            )
        return self._obj_map[name]

    def registered_names(self) -> list[str]:
        """Return the names in the order of registration."""
        return list(self._obj_map)

    def __contains__(self, name: str) -> bool:
        return name in self._obj_map


def _is_built_in(obj) -> bool:
    return obj.__module__.partition(".")[0] == "dassl"
