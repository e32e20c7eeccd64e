"""The rooms of the library: what they import, how large they are, and side effects of imports."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

# from the bottom up; "" is the ground, the modules in ueo/ itself
ROOMS = ("", "transduction", "settings", "shifts", "images", "fetch", "clip", "pairs", "results",
         "runs", "inference", "grids", "machine", "studies", "commands")
PLUGINS = ("trainers", "datasets")  # they register themselves and build on runs
TOP = Path("ueo/plugin.py")  # the one door for others' code: it registers everything
MODULES = sorted(REPOSITORY.glob("ueo/**/*.py"))
MOST_LINES, MOST_MODULES = 250, 14


def imported(file: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(file: Path) -> str:
    parts = file.relative_to(REPOSITORY / "ueo").parts
    return parts[0] if len(parts) > 1 else ""


def room_named(module: str) -> str | None:
    """The room of a module of ours; None for others' modules."""
    parts = module.split(".")
    if parts[0] != "ueo":
        return None
    name = parts[1] if len(parts) > 1 else ""
    return name if name in (*ROOMS, *PLUGINS) else ""


@pytest.mark.parametrize("file", [m for m in MODULES if m.relative_to(REPOSITORY) != TOP],
                         ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_room_imports_only_rooms_below_it(file):
    allowed = set(ROOMS[: ROOMS.index(room_of(file)) + 1])
    wrong = {name for name in imported(file) if (room := room_named(name)) is not None
             and room not in allowed}
    assert not wrong


@pytest.mark.parametrize("library", ["clip", "open_clip", "timm"])
def test_only_the_room_clip_imports_libraries_of_backbones(library):
    files = [f for name in ("ueo", *PLUGINS) for f in (REPOSITORY / name).glob("**/*.py")]
    assert {room_of(f) if f.is_relative_to(REPOSITORY / "ueo") else f.parent.name for f in files
            if any(name.split(".")[0] == library for name in imported(f))} <= {"clip"}


@pytest.mark.parametrize("folder", PLUGINS)
def test_plug_ins_import_only_runs_and_rooms_below_it(folder):
    allowed = {*ROOMS[: ROOMS.index("runs") + 1], folder}
    for file in (REPOSITORY / folder).glob("*.py"):
        rooms = {room for name in imported(file) if (room := room_named(name)) is not None}
        assert rooms <= allowed, file


def test_rooms_and_modules_stay_small():
    plugins = [f for name in PLUGINS for f in REPOSITORY.glob(f"{name}/*.py")]
    for file in [*MODULES, *plugins, *REPOSITORY.glob("modern_dassl/**/*.py")]:
        assert len(file.read_text().splitlines()) <= MOST_LINES, file
    for folder in {file.parent for file in MODULES}:
        modules = [p for p in folder.glob("*.py") if not p.name.startswith("__")]
        assert len(modules) <= MOST_MODULES, folder


# possible side effects of an import, apart from definitions and registered names
LOOK = """
import contextlib, importlib, io, json, multiprocessing, os, sys, threading, warnings
def state():
    plain = [list(map(str, entry)) for entry in warnings.filters]
    return {"environment": dict(os.environ), "path": list(sys.path), "warnings": plain,
            "threads": [t.name for t in threading.enumerate()],
            "children": [p.name for p in multiprocessing.active_children()],
            "files": sorted(os.listdir())}
for module in ("torch", "torchvision", "clip", "matplotlib.figure", "sklearn.metrics", "tabulate",
               "requests", "tqdm", "safetensors.torch", "yacs.config", "modern_dassl"):
    importlib.import_module(module)
out, said, found = sys.stdout, io.StringIO(), {}
before = state()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    console = sys.stdout
    for name in sys.argv[1:]:
        importlib.import_module(name)
        after = state()
        changed = [key for key in before if before[key] != after[key]]
        if said.getvalue(): changed.append("output")
        if sys.stdout is not console: changed.append("stdout")
        import multiprocessing.forkserver
        if multiprocessing.forkserver._forkserver._forkserver_pid: changed.append("fork server")
        if "matplotlib.pyplot" in sys.modules: changed.append("figures")
        if changed: found[name] = changed
print(json.dumps(found))
"""


def dotted(file: Path, package: str) -> str:
    name = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
    name = name.removesuffix(".__init__")
    return name if package == "" else f"ueo.{name}"


def test_importing_has_no_side_effects(tmp_path):
    names = [dotted(file, "") for file in MODULES if file.name != "__main__.py"]
    names += [dotted(f, "ueo") for p in PLUGINS for f in sorted((REPOSITORY / p).glob("*.py"))]
    names += ["train", *(dotted(f, "") for f in sorted(REPOSITORY.glob("modern_dassl/*.py"))
                         if f.name != "__main__.py")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", LOOK, *names], capture_output=True, text=True,
                          cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


@pytest.mark.parametrize("name", ["ueo.losses", "ueo.scores", "ueo.metrics", "ueo.label_space"])
def test_the_mathematics_does_not_import_the_engine(name):
    """Formulas can be reused without the toolbox."""
    code = f"import sys, {name}; print([m for m in sys.modules if m.startswith('dassl')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize("name", PLUGINS)
def test_plug_ins_cannot_be_imported_under_another_name(name):
    """Under a second name every class would be registered twice."""
    done = subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, text=True,
                          cwd=REPOSITORY)
    assert f"this folder is the package ueo.{name}" in done.stderr.splitlines()[-1]
