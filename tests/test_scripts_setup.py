"""The set-up scripts, with stand-ins for Python and for packages: nothing is installed."""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY

FAKE_PYTHON = """#!/usr/bin/env bash
echo "$@" >>"$CALLS"
case "$1 $2" in
  "-c "*) exit "${OLD:-0}" ;;
  "-m venv") mkdir -p "${!#}/bin" && cp "$0" "${!#}/bin/python" ;;
  "-m pip") exit "${PIP:-0}" ;;
esac
"""


def check(tmp_path, *flags: str):
    """Run check_environment.py in an interpreter that sees tmp_path/packages alone."""
    done = subprocess.run(
        [sys.executable, *flags, str(REPOSITORY / "scripts/check_environment.py")],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "packages"), "PATH": os.environ["PATH"]},
    )
    return done.returncode, done.stderr


def package(tmp_path, name: str, **modules: str) -> None:
    """A folder that can be imported: package(path, "clip", simple_tokenizer="")."""
    folder = tmp_path / "packages" / name
    folder.mkdir(parents=True, exist_ok=True)
    for module, text in {"__init__": "", **modules}.items():
        (folder / f"{module}.py").write_text(text)


# -S: without site-packages


def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path):
    status, err = check(tmp_path, "-S")
    assert status == 3 and "Traceback" not in err
    first, _, command, _ = err.splitlines()
    assert first.startswith("Error: the active environment lacks: ")
    for name in ("torch", "PyYAML", "scikit-learn", "Pillow", "clip (OpenAI's", "ueo-toolbox"):
        assert name in first
    assert command.strip() == f'{sys.executable} -m pip install -c constraints.txt -e ".[test]"'


def test_the_clipboard_tool_is_not_openais_clip(tmp_path):
    package(tmp_path, "torch")
    package(tmp_path, "clip", clipboard="")
    status, err = check(tmp_path, "-S")
    assert status == 3 and "clip (OpenAI's" in err and " torch," not in err
    package(tmp_path, "clip", simple_tokenizer="", clip="import torch")
    status, err = check(tmp_path, "-S")
    assert status == 3 and "clip (OpenAI's" not in err and "setuptools<81" not in err
    package(tmp_path, "clip", clip="from pkg_resources import packaging")
    assert "setuptools<81" in check(tmp_path, "-S")[1]


def test_another_projects_ueo_does_not_count(tmp_path):
    package(tmp_path, "ueo", trainers="")
    assert "ueo-toolbox" in check(tmp_path, "-S")[1]


def test_the_environment_of_these_tests_lacks_nothing(tmp_path):
    assert check(tmp_path) == (0, "")


@pytest.fixture
def setup(tmp_path):
    """setup(**variables) sources a copy of setup.sh in a fresh tree: (process, calls of Python)."""
    tree, calls = tmp_path / "a tree", tmp_path / "calls"
    (tree / "scripts").mkdir(parents=True)
    for name in ("setup.sh", "check_environment.py"):
        shutil.copy(REPOSITORY / "scripts" / name, tree / "scripts")
    for name in ("setup.py", "constraints.txt"):
        (tree / name).write_text("")
    python = tmp_path / "fake python"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)

    def run(**variables: str):
        calls.write_text("")
        env = {"PATH": os.environ["PATH"], "CALLS": str(calls), "UEO_PYTHON": str(python)}
        done = subprocess.run(
            ["bash", "-c", 'set -euo pipefail; source "scripts/setup.sh"; echo "PYTHON=$PYTHON"'],
            cwd=tree, env={**env, **variables}, capture_output=True, text=True, timeout=60,
        )
        return done, calls.read_text()

    run.tree = tree
    return run


def test_a_first_call_installs_and_a_second_does_not(setup):
    done, calls = setup()
    assert done.returncode == 0, done.stderr
    assert f"PYTHON={setup.tree}/.venv/bin/python" in done.stdout
    assert calls.count("-m venv") == 1 and calls.count("-m pip install") == 1
    assert '-c constraints.txt -e .[test]' in calls
    done, calls = setup()
    assert done.returncode == 0 and "-m" not in calls
    assert done.stdout == f"PYTHON={setup.tree}/.venv/bin/python\n"


def test_a_changed_environment_is_installed_again(setup):
    setup()
    (setup.tree / "constraints.txt").write_text("torch==2.6.0\n")
    assert "-m pip install" in setup()[1]
    (setup.tree / ".venv/bin/python").unlink()  # like an upgrade of the system's Python
    assert "-m pip install" in setup()[1]


def test_an_interrupted_installation_is_repeated(setup):
    done, _ = setup(PIP="1")
    assert done.returncode == 2
    assert done.stderr == (
        "Error: the installation did not finish (see above); run the same command again\n"
    )
    assert not (setup.tree / ".venv/.complete").exists()
    done, calls = setup()
    assert done.returncode == 0 and "-m venv --clear" in calls and "-m pip install" in calls


def test_an_environment_of_the_user_is_not_changed(setup, tmp_path):
    own = setup.tree / ".venv"
    (own / "bin").mkdir(parents=True)
    (own / "bin/python").write_text("mine")
    done, calls = setup()
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and f"{own} was not made by this script; activate it" in line
    assert "-m" not in calls and (own / "bin/python").read_text() == "mine"
    shutil.rmtree(own)
    setup()
    own.rename(tmp_path / "elsewhere")
    own.symlink_to(tmp_path / "elsewhere")
    done, calls = setup()
    assert done.returncode == 0 and "-m" not in calls  # the environment is complete
    (setup.tree / "constraints.txt").write_text("torch==2.6.0\n")
    done, calls = setup()
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and f"{own} is a link" in line
    assert "-m" not in calls and (tmp_path / "elsewhere/.complete").is_file()


def test_an_old_or_missing_python_is_refused_in_one_line(setup):
    done, calls = setup(OLD="1")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "older than Python 3.10" in line and "UEO_PYTHON=" in line
    assert "-m" not in calls and not (setup.tree / ".venv").exists()
    done, _ = setup(UEO_PYTHON="/nowhere/python3")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and "/nowhere/python3" in line and "UEO_PYTHON=" in line


def test_an_active_environment_is_checked_and_never_changed(setup, tmp_path):
    done, calls = setup(VIRTUAL_ENV=str(tmp_path))
    assert done.returncode == 0 and "check_environment.py" in calls and "-m" not in calls
    assert not (setup.tree / ".venv").exists()
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    done, _ = setup(VIRTUAL_ENV=str(bare), UEO_PYTHON="", PATH=f"{bare}/bin:{os.environ['PATH']}")
    assert done.returncode == 3 and "the active environment lacks" in done.stderr
    assert f"{bare}/bin/python" in done.stderr and not (setup.tree / ".venv").exists()
