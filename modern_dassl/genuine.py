"""Genuine Dassl, and changed copies of it: found and judged by their files, without an import."""

import hashlib
import importlib.metadata
import importlib.util
import re
from pathlib import Path

VERSION = "0.6.3"
DIGESTS = (  # of the commits that call themselves 0.6.3, from 15309e6 to the last, c61a1b5
    "f3f6564c3c709251", "994c1ed8871e9448", "02af949603fd18cf", "18db3158c76481b2",
    "b4234ea741416b37",
)  # fmt: skip


def name(folder: Path) -> str:
    """Name and version of the package in `folder`, e.g. "dassl 0.6.3" or "dassl 0.6.3, changed"."""
    found = version(folder)
    if found is None:
        return "dassl (unknown version)"
    return f"dassl {found}" + (", changed" if found == VERSION and is_changed(folder) else "")


def version(folder: Path) -> str | None:
    """What the package in `folder` calls its version."""
    text = (folder / "__init__.py").read_text(errors="replace")
    found = re.search(r"^__version__\s*=\s*[\"']([^\"']+)", text, re.MULTILINE)
    return found and found[1]


def is_changed(folder: Path) -> bool:
    """Whether the Python files in `folder`, however their lines end, are not Dassl 0.6.3's."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        lines = [line.rstrip() for line in file.read_bytes().splitlines()]
        found.update(b"\n".join([file.relative_to(folder).as_posix().encode(), *lines, b""]))
    return found.hexdigest()[:16] not in DIGESTS


def changed_copy(beside: Path) -> Path | None:
    """The package `dassl` that the repository of a script brings along, when it is a changed one.

    beside: folder of the script. Looked for there, in the folders in it and, where the repository's
    root is one folder up, in that one and the folders in it.
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
    """Why the package in `folder` cannot run here, or ""."""
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
