"""Dassl for today's PyTorch: `import modern_dassl` makes `dassl` importable.

Genuine Dassl is used if it is installed and can run on the installed torch. Otherwise the package
in the folder beside this file is used. UEO_ENGINE=builtin or UEO_ENGINE=dassl overrides the choice.
A changed copy of Dassl in a script's repository precedes an installed one, if it can run.
`announce()` prints which one is in use; `engine_name()` checks that `import dassl` gives that one.
Under torchrun the import also limits each process to one GPU, and silences all but the first.
"""

import importlib.util
import os
import sys
from pathlib import Path

from modern_dassl import genuine, left_out

__version__ = "0.1.0"
__all__ = ["announce", "engine_name", "use"]

_HERE = Path(__file__).resolve().parent
_OURS = _HERE / "dassl"
_CHOICES = ("", "builtin", "dassl")
_UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE") != "1"


def engine_name() -> str:
    """Return name and version of the package that `import dassl` gives, e.g. "modern_dassl 0.1.0".

    Later changes of the search path do not change it. Raise ImportError if another package was
    imported meanwhile.
    """
    if _chosen is None:
        use()
    importlib.import_module("dassl")  # fixes the choice; the package itself is empty
    _check(*_chosen)
    return _chosen[0]


def announce() -> None:
    """Print which package is in use, and why if another one is installed."""
    name = engine_name()
    print(f"Engine: {name}" + (f" ({_remark})" if _remark else ""), flush=True)


def use(beside: Path | None = None) -> None:
    """Make `dassl` importable, chosen by the current search path.

    beside: folder of the script to run; its repository may contain its own Dassl.
    """
    global _chosen, _remark
    name, _remark, folder = _choose(beside)
    _check(name, folder)
    _chosen = name, folder


def _check(name: str, folder: Path) -> None:
    """Raise ImportError unless `import dassl` gives the package in `folder`."""
    try:
        spec = importlib.util.find_spec("dassl")
    except ValueError:  # loaded without a spec
        spec = None
    found = Path(spec.origin).resolve().parent if spec and spec.origin else "no package"
    if found != folder:
        raise ImportError(
            f"{name} in {folder} is in use, but `import dassl` gives {found}; "
            "remove that from the search path"
        )


def _find_genuine() -> Path | None:
    """Return the folder of an installed `dassl` that is not ours, or None; do not import it."""
    kept, sys.path[:] = list(sys.path), [p for p in sys.path if not _is_ours(p)]
    loaded = sys.modules.pop("dassl", None)
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec("dassl")
    finally:
        sys.path[:] = kept
        if loaded is not None:
            sys.modules["dassl"] = loaded
    # a folder without __init__.py only happens to have that name
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:
        return None
    return Path(spec.origin).resolve().parent


def _is_ours(entry: str) -> bool:
    return bool(entry) and os.path.realpath(entry) == str(_HERE)


def _is_genuine(module) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve().parent.parent != _HERE


def _use_ours(front: bool) -> None:
    """Put this folder, which contains ours, on the search path; at the end unless `front`."""
    if "dassl" in sys.modules:
        if _is_genuine(sys.modules["dassl"]):
            raise ImportError(
                "another dassl was imported before modern_dassl; put `import modern_dassl` first"
            )
        return
    sys.path[:] = [p for p in sys.path if not _is_ours(p)]
    sys.path.insert(0 if front else len(sys.path), str(_HERE))
    importlib.invalidate_caches()
    left_out.install()


def _choose(beside: Path | None) -> tuple[str, str, Path]:
    """Put the chosen package on the search path. Return (name, remark, folder of the package)."""
    forced = os.environ.get("UEO_ENGINE", "").strip().lower()
    if forced not in _CHOICES:
        raise ImportError(f"UEO_ENGINE is {forced!r}; it must be builtin or dassl, or not be set")
    own, ours = beside and genuine.changed_copy(beside), f"modern_dassl {__version__}"
    found = own or _find_genuine()
    if found is None:
        if forced == "dassl":
            raise ImportError(
                "UEO_ENGINE=dassl, but Dassl is not installed; install it, or unset UEO_ENGINE to "
                "use the built-in engine"
            )
        _use_ours(front=False)
        return ours, "", _OURS
    name, reason = genuine.name(found), _why_not(found)
    imported = "dassl" in sys.modules and _is_genuine(sys.modules["dassl"])
    if forced == "dassl" and _UNDER_TORCHRUN:
        raise ImportError(f"UEO_ENGINE=dassl: {name} cannot be used, {reason}")
    if forced == "dassl" or (forced == "" and (imported or not reason)):
        sys.path[:] = [p for p in sys.path if not _is_ours(p)]
        if own:
            sys.path.insert(0, str(own.parent))
        remarks = f"of {own.parent}" if own else "", f"warning: {reason}" if reason else ""
        return name, "; ".join(filter(None, remarks)), found
    _use_ours(front=True)
    why = "UEO_ENGINE=builtin" if forced else reason
    if own:
        return ours, f"this repository's own {name} in {own.parent} is not used: {why}", _OURS
    return ours, f"{name} is installed but not used: {why}", _OURS


def _why_not(folder: Path) -> str:
    """Return why the genuine package in `folder` cannot run here, or ""."""
    if _UNDER_TORCHRUN:
        return "it knows one process only, and torchrun started several"
    return genuine.why_not(folder)


def _is_launcher() -> bool:
    """Whether `python -m modern_dassl` makes this import.

    Then the search path is not yet that of the script, so __main__.py chooses later.
    """
    return sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].endswith(__name__)


if _UNDER_TORCHRUN:
    from modern_dassl import distributed

    distributed.see_one_gpu()
    distributed.silence()
_chosen: tuple[str, Path] | None = None  # (name, folder)
_remark = ""  # why this one was chosen
if not _is_launcher():
    use()
