"""Which code a class runs: a hash that comments, docstrings and layout do not change."""

import ast
import gc
import hashlib
import sys
from functools import lru_cache
from pathlib import Path

# the engine, libraries, and what all methods and data sets share: versions of these are recorded
SHARED = ("dassl", "modern_dassl", "torch", "builtins", "abc", "typing")
SHARED_MODULES = ("ueo.runs.recorded_trainer", "ueo.runs.shards.trainer",
                  "ueo.runs.online.trainer", "ueo.trainers.base", "ueo.datasets.base",
                  "ueo.datasets.published")
# where a method can run, and which images show one object: no run computes otherwise by them
DECLARATIONS = ("by_image", "object_of")


def code_hash(kind: type) -> str:
    """12 hexadecimal digits: of the files that define `kind` and the classes it is derived from,
    the shared ones left out. A method that was edited is another method."""
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


@lru_cache(maxsize=256)  # plans of many runs ask for the same files again and again
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
    """`ast.parse` while no garbage is collected. Before Python 3.11.8 a collection that itself
    parses Python, or gives way to a thread that does, ends the outer call in a SystemError
    (CPython gh-106905)."""
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
