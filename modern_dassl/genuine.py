"""Find genuine Dassl and changed copies of it, and judge them by their files without an import."""

import hashlib
import importlib.metadata
import importlib.util
import re
from pathlib import Path

VERSION = "0.6.3"
DIGESTS = (  # of all commits with version 0.6.3, from 15309e6 to the last, c61a1b5
    "f3f6564c3c709251", "994c1ed8871e9448", "02af949603fd18cf", "18db3158c76481b2",
    "b4234ea741416b37",
)  # fmt: skip


def name(folder: Path) -> str:
    """Return name and version of the package in `folder`, e.g. "dassl 0.6.3, changed"."""
    found = version(folder)
    if found is None:
        return "dassl (unknown version)"
    return f"dassl {found}" + (", changed" if found == VERSION and is_changed(folder) else "")


def version(folder: Path) -> str | None:
    """Return the `__version__` of the package in `folder`."""
    text = (folder / "__init__.py").read_text(errors="replace")
    found = re.search(r"^__version__\s*=\s*[\"']([^\"']+)", text, re.MULTILINE)
    return found and found[1]


def is_changed(folder: Path) -> bool:
    """Whether the Python files in `folder` differ from Dassl 0.6.3's, apart from line endings."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        lines = [line.rstrip() for line in file.read_bytes().splitlines()]
        found.update(b"\n".join([file.relative_to(folder).as_posix().encode(), *lines, b""]))
    return found.hexdigest()[:16] not in DIGESTS


def changed_copy(beside: Path) -> Path | None:
    """Return the folder of a changed `dassl` in the repository of a script, or None.

    beside: folder of the script. The search covers it and its subfolders and, if the repository's
    root is one level up, the root and its subfolders.
    """
    roots = [beside]
    if not (beside / ".git").exists() and _looks_like_root(beside.parent):
        roots.append(beside.parent)
    for root in roots:
        for found in (root / "dassl/__init__.py", *sorted(root.glob("*/dassl/__init__.py"))):
            if found.is_file() and is_changed(found.parent):
                return found.parent.resolve()
    return None


def _looks_like_root(folder: Path) -> bool:
    return (folder / ".git").exists() or any(folder.glob("[Rr][Ee][Aa][Dd][Mm][Ee]*"))


def why_not(folder: Path) -> str:
    """Return why the package in `folder` cannot run here, or ""."""
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
    for module, imported in wanted.items():
        if imported and importlib.util.find_spec(module) is None:
            return f"it imports {module}, which is not installed"
    return ""


def _torch_version() -> tuple[int, ...]:
    try:
        text = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return (0, 0)
    return tuple(int(n) for n in re.findall(r"\d+", text)[:2])
