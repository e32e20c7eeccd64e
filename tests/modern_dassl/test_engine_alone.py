"""The engine is a package of its own: modern_dassl/pyproject.toml."""

import ast
import sys
from pathlib import Path

import pytest

import modern_dassl

FOLDER = Path(modern_dassl.__file__).resolve().parent
DISTRIBUTIONS = {"PIL": "Pillow", "sklearn": "scikit-learn"}  # not named as what is imported
OWN = {"modern_dassl", "dassl"}


@pytest.fixture(scope="module")
def project():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    return tomllib.loads((FOLDER / "pyproject.toml").read_text())


def imported():
    """Names of the packages that the engine imports anywhere."""
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module.split(".")[0]


def test_every_folder_is_installed(project):
    parts = [file.parent.relative_to(FOLDER).parts for file in FOLDER.rglob("__init__.py")]
    assert project["tool"]["setuptools"]["packages"] == sorted(
        ".".join(("modern_dassl", *part)) for part in parts
    )


def test_everything_that_is_imported_is_a_dependency(project):
    needed = set(imported()) - OWN - set(sys.stdlib_module_names)
    assert "ueo" not in needed
    names = {line.split(">")[0] for line in project["project"]["dependencies"]}
    assert {DISTRIBUTIONS.get(name, name) for name in needed} - {"tensorboard"} == names - {
        "PyYAML"  # by yacs
    }
