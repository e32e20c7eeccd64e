"""Find plug-ins: every module of a package, or one file named by the user."""

import hashlib
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

from dassl.utils import Registry
from yacs.config import CfgNode

from ueo.errors import ConfigError, UserError, from_here

FILES = "ueo_plugins_"  # what names of their packages begin with


def import_modules(package: str, path: list[str]) -> None:
    """Import every module of `package`, in the order of names, so that each registers itself.

    Raises ImportError where it goes by a name outside ueo: each would be registered once a name.
    """
    if not package.startswith("ueo."):
        raise ImportError(f"this folder is the package ueo.{package}; import it by that name")
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        importlib.import_module(f"{package}.{module.name}")


def import_file(file: str) -> ModuleType:
    """Import one Python file from outside the tree, unless it was imported as it is now.

    Its folder acts as its package: `from .other import name` reads the file beside it. Raises
    ConfigError, naming the file, when there is none or when it fails.
    """
    path = Path(file).expanduser().resolve()
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"--plugin: {file} is not a Python file{from_here(file)}")
    name = f"{_package_of(path.parent)}.{path.stem.replace('.', '_')}"
    source = path.read_bytes()
    known = sys.modules.get(name)
    if known is not None and getattr(known, "plugin_source", source) == source:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    module.plugin_source = source
    sys.modules[name] = module
    try:
        # not exec_module: its cache takes a file changed within a second for the old one
        exec(spec.loader.source_to_code(source, str(path)), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise _mistake(file, path, error) from error
    return module


def forget_files() -> None:
    """Forget the files that were imported: the next import of one registers its classes anew."""
    for name in [name for name in sys.modules if name.startswith(FILES)]:
        del sys.modules[name]


def of_registered(registry: Registry, name: str, attribute: str, otherwise):
    """An attribute of what is registered under `name`; `otherwise` where nothing is, as where its
    plug-in is missing, or where it has no such attribute."""
    known = name in registry.registered_names()
    return getattr(registry.get(name), attribute, otherwise) if known else otherwise


def extend_cfg(plugin: ModuleType, cfg: CfgNode) -> None:
    """Let the plug-in's `extend_cfg(cfg)`, where it defines one, add its keys to the defaults.

    Raises ConfigError, naming the file, when it fails.
    """
    function = getattr(plugin, "extend_cfg", None)
    if callable(function):
        try:
            function(cfg)
        except Exception as error:
            path = Path(plugin.__file__)
            raise _mistake(str(path), path, error) from error


def _package_of(folder: Path) -> str:
    """A package whose modules are the files in `folder`; no name of another module is taken."""
    name = f"{FILES}{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    package = sys.modules.setdefault(name, ModuleType(name))
    package.__path__ = [str(folder)]
    return name


def _mistake(file: str, path: Path, error: Exception) -> ConfigError:
    """One line: the file, the line in it that failed, and what was wrong."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, error = [error.lineno], SyntaxError(error.msg)
    where = f", line {lines[-1]}" if lines else ""
    text = str(error).strip().splitlines()
    what = text[0] if text else "no message"
    if not isinstance(error, UserError):
        what = f"{type(error).__name__}: {what}"
    return ConfigError(f"--plugin {file}{where}: {what}")
