"""Find plug-ins: every module of a package, or one file named by the user."""

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path

from ueo.errors import ConfigError


def import_modules(package: str, path: list[str]) -> None:
    """Import every module of `package`, in the order of names, so that each registers itself."""
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        importlib.import_module(f"{package}.{module.name}")


def import_file(file: str) -> None:
    """Import one Python file from outside the tree. Raises ConfigError when there is none."""
    path = Path(file)
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"--plugin: {file} is not a Python file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
