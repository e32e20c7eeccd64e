"""Which code a class runs: a hash that comments, docstrings and layout do not change."""

import ast
import gc
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

# shared by all methods and data sets; not hashed, because records hold their versions
SHARED = ("dassl", "modern_dassl", "torch", "builtins", "abc", "typing")
SHARED_MODULES = ("ueo.runs.recorded_trainer", "ueo.runs.shards.trainer",
                  "ueo.runs.online.trainer", "ueo.trainers.base", "ueo.datasets.base",
                  "ueo.datasets.published")
# declarations that no result depends on; not hashed either
DECLARATIONS = ("by_image", "object_of")


def code_hash(kind: type) -> str:
    """Hash the files that define `kind` and its base classes, shared ones left out; 12 hexadecimal
    digits. So an edited method counts as another method."""
    digest = hashlib.sha256()
    for module in dict.fromkeys(base.__module__ for base in kind.__mro__):
        if module.split(".")[0] not in SHARED and module not in SHARED_MODULES:
            digest.update(_structure(_source(module)).encode())
    return digest.hexdigest()[:12]


def _source(module: str) -> str:
    """The source as it was imported; "" where there is none, as in a notebook."""
    found = sys.modules.get(module)
    kept = getattr(found, "plugin_source", None)
    if kept is not None:
        return kept.decode("utf-8", "replace")
    file = getattr(found, "__file__", None)
    return Path(file).read_text(encoding="utf-8") if file and Path(file).is_file() else ""


@lru_cache(maxsize=256)  # a plan of many runs hashes the same files again and again
def _structure(source: str) -> str:
    """The syntax tree as text, the same in every version of Python; docstrings are left out."""
    tree = _parsed(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            del body[0]
        if isinstance(node, ast.ClassDef):
            node.body = [part for part in body if not _is_declaration(part)]
    return repr(_plain(tree))


def _parsed(source: str) -> ast.Module:
    """Call `ast.parse` without garbage collection. Before Python 3.11.8 it raises SystemError if a
    collection parses Python meanwhile, or lets another thread do so (CPython gh-106905)."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collects:
            gc.enable()


def _is_declaration(node: ast.AST) -> bool:
    names = [getattr(target, "id", None) for target in getattr(node, "targets", ())]
    return bool({*names, getattr(node, "name", None)}.intersection(DECLARATIONS))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _plain(node):
    if isinstance(node, ast.AST):
        fields = [(name, _plain(value)) for name, value in ast.iter_fields(node)
                  if value not in (None, []) and name not in ("ctx", "type_comment", "kind")]
        return (type(node).__name__, *fields)
    return [_plain(part) for part in node] if isinstance(node, list) else node
