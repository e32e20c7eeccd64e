"""Dassl for today's PyTorch: `import modern_dassl` makes `dassl` importable.

Genuine Dassl is used where it is installed and can run on the installed torch, the package in the
folder beside this file otherwise. UEO_ENGINE=builtin or UEO_ENGINE=dassl decides by hand.
`announce()` says which one is in use, `engine_name()` checks that `import dassl` gives that one.
Under torchrun the import also leaves each process one GPU, and all but the first no output.
"""

import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path

__version__ = "0.1.0"
__all__ = ["announce", "engine_name", "use"]

_HERE = Path(__file__).resolve().parent
_OURS = _HERE / "dassl"
_CHOICES = ("", "builtin", "dassl")
_UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE") != "1"


def engine_name() -> str:
    """Name and version of the package that `import dassl` gives, e.g. "modern_dassl 0.1.0".

    Raises ImportError where that is no longer the one that was announced.
    """
    if _chosen is None:
        use()
    _check(*_chosen)
    return _chosen[0]


def announce() -> None:
    """Print which package is in use, and why where another one is installed."""
    name = engine_name()
    print(f"Engine: {name}" + (f" ({_remark})" if _remark else ""), flush=True)


def use() -> None:
    """Make `dassl` importable, as the search path is now."""
    global _chosen, _remark
    name, _remark, folder = _choose()
    _check(name, folder)
    _chosen = name, folder


def _check(name: str, folder: Path) -> None:
    """Raise ImportError unless `import dassl` gives the package in `folder`."""
    try:
        spec = importlib.util.find_spec("dassl")
    except ValueError:  # loaded, and nobody knows from where
        spec = None
    found = Path(spec.origin).resolve().parent if spec and spec.origin else "no package"
    if found != folder:
        raise ImportError(
            f"{name} in {folder} is in use, but `import dassl` gives {found}; "
            "remove that from the search path"
        )


def _find_genuine() -> Path | None:
    """Folder of an installed `dassl` that is not ours, found without importing it; or None."""
    kept, sys.path[:] = list(sys.path), [p for p in sys.path if not _is_ours(p)]
    loaded = sys.modules.pop("dassl", None)
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec("dassl")
    finally:
        sys.path[:] = kept
        if loaded is not None:
            sys.modules["dassl"] = loaded
    # a folder without __init__.py is no package, only something with that name
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:
        return None
    return Path(spec.origin).resolve().parent


def _is_ours(entry: str) -> bool:
    return bool(entry) and os.path.realpath(entry) == str(_HERE)


def _torch_version() -> tuple[int, ...]:
    try:
        text = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return (0, 0)
    return tuple(int(n) for n in re.findall(r"\d+", text)[:2])


def _why_not(folder: Path) -> str:
    """Why the `dassl` in `folder` cannot run here, or "". Reads files only: importing is slow."""
    if _UNDER_TORCHRUN:
        return "it knows one process only, and torchrun started several"
    scheduler = folder / "optim" / "lr_scheduler.py"
    text = scheduler.read_text(errors="replace") if scheduler.is_file() else ""
    passes_verbose = re.search(r"__init__\(\s*optimizer\s*,\s*last_epoch\s*,\s*verbose", text)
    if passes_verbose and _torch_version() >= (2, 7):
        return "its warm-up schedulers fail on torch >= 2.7"
    trainer = folder / "engine" / "trainer.py"
    text = trainer.read_text(errors="replace") if trainer.is_file() else ""
    wanted = {
        "wilds": any((folder / "data" / "datasets").rglob("wilds*")),
        "tensorboard": "torch.utils.tensorboard" in text,
    }
    for name, imported in wanted.items():
        if imported and importlib.util.find_spec(name) is None:
            return f"it imports {name}, which is not installed"
    return ""


def _genuine_version(folder: Path) -> str:
    text = (folder / "__init__.py").read_text(errors="replace")
    found = re.search(r"^__version__\s*=\s*[\"']([^\"']+)", text, re.MULTILINE)
    return f"dassl {found[1]}" if found else "dassl (unknown version)"


def _is_genuine(module) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve().parent.parent != _HERE


def _use_ours(front: bool) -> None:
    """Put this folder, which holds ours, on the search path; at the end unless `front`."""
    if "dassl" in sys.modules:
        if _is_genuine(sys.modules["dassl"]):
            raise ImportError(
                "another dassl was imported before modern_dassl; put `import modern_dassl` first"
            )
        return
    sys.path[:] = [p for p in sys.path if not _is_ours(p)]
    sys.path.insert(0 if front else len(sys.path), str(_HERE))
    importlib.invalidate_caches()


def _choose() -> tuple[str, str, Path]:
    """Make `dassl` importable. Returns (name, remark, folder of the package)."""
    forced = os.environ.get("UEO_ENGINE", "").strip().lower()
    if forced not in _CHOICES:
        raise ImportError(f"UEO_ENGINE is {forced!r}; it must be builtin or dassl, or not be set")
    genuine, ours = _find_genuine(), f"modern_dassl {__version__}"
    if genuine is None:
        if forced == "dassl":
            raise ImportError(
                "UEO_ENGINE=dassl, but Dassl is not installed; install it, or unset UEO_ENGINE to "
                "use the built-in engine"
            )
        _use_ours(front=False)
        return ours, "", _OURS
    version, reason = _genuine_version(genuine), _why_not(genuine)
    imported = "dassl" in sys.modules and _is_genuine(sys.modules["dassl"])
    if forced == "dassl" and _UNDER_TORCHRUN:
        raise ImportError(f"UEO_ENGINE=dassl: {version} cannot be used, {reason}")
    if forced == "dassl" or (forced == "" and (imported or not reason)):
        sys.path[:] = [p for p in sys.path if not _is_ours(p)]
        return version, f"warning: {reason}" if reason else "", genuine
    _use_ours(front=True)
    why = "UEO_ENGINE=builtin" if forced else reason
    return ours, f"{version} is installed but not used: {why}", _OURS


if _UNDER_TORCHRUN:
    from modern_dassl import distributed

    distributed.see_one_gpu()
    distributed.silence()
_chosen: tuple[str, Path] | None = None  # (name, folder)
_remark = ""  # why it is this one
if sys.argv[:1] != ["-m"]:  # `python -m modern_dassl`: not before the search path is the script's
    use()
