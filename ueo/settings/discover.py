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

FILES = "ueo_plugins_"  # prefix of their package names


def import_modules(package: str, path: list[str]) -> None:
    """Import every module of `package`, in alphabetical order, so that each registers itself.

    Raises ImportError if `package` is not under ueo: under two names it would register twice.
    """
    if not package.startswith("ueo."):
        raise ImportError(f"this folder is the package ueo.{package}; import it by that name")
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        importlib.import_module(f"{package}.{module.name}")


def import_file(file: str) -> ModuleType:
    """Import one Python file from outside the tree, unless its present content is imported already.

    Its folder acts as its package, so `from .other import name` reads the file beside it. Raises
    ConfigError, naming the file, if it is missing or fails.
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
        # not exec_module: its cache misses a change within a second
        exec(spec.loader.source_to_code(source, str(path)), module.__dict__)
    except Exception as error:
        del sys.modules[name]
        raise _mistake(file, path, error) from error
    return module


def forget_files() -> None:
    """Forget all imported plug-in files, so that the next import registers their classes again."""
    for name in [name for name in sys.modules if name.startswith(FILES)]:
        del sys.modules[name]


def of_registered(registry: Registry, name: str, attribute: str, otherwise):
    """Return an attribute of the class registered under `name`; `otherwise` if it has none or, as
    without its plug-in, nothing is registered."""
    known = name in registry.registered_names()
    return getattr(registry.get(name), attribute, otherwise) if known else otherwise


def extend_cfg(plugin: ModuleType, cfg: CfgNode) -> None:
    """Call the plug-in's `extend_cfg(cfg)`, if it defines one, to add its keys to the defaults.

    Raises ConfigError, naming the file, if it fails.
    """
    function = getattr(plugin, "extend_cfg", None)
    if callable(function):
        try:
            function(cfg)
        except Exception as error:
            path = Path(plugin.__file__)
            raise _mistake(str(path), path, error) from error


def _package_of(folder: Path) -> str:
    """Return the name of a package, unique to `folder`, whose modules are the files in it."""
    name = f"{FILES}{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    package = sys.modules.setdefault(name, ModuleType(name))
    package.__path__ = [str(folder)]
    return name


def _mistake(file: str, path: Path, error: Exception) -> ConfigError:
    """Return an error of one line: the file, the line that failed, and what was wrong."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines, error = [error.lineno], SyntaxError(error.msg)
    where = f", line {lines[-1]}" if lines else ""
    text = str(error).strip().splitlines()
    what = text[0] if text else "no message"
    if not isinstance(error, UserError):
        what = f"{type(error).__name__}: {what}"
    return ConfigError(f"--plugin {file}{where}: {what}")
