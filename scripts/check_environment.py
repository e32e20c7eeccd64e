"""Print which packages the active environment lacks, and the command that installs them.

The exit status is 0 if nothing is missing, 3 otherwise. This script changes nothing, needs only the
standard library and imports nothing heavy.
"""

import importlib.util
import sys
from pathlib import Path

sys.path.pop(0)  # this folder holds scripts/ueo/, which is not the package

# module -> name of the distribution
NEEDED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "yacs": "yacs",
    "yaml": "PyYAML",
    "tabulate": "tabulate",
    "gdown": "gdown",
    "requests": "requests",
    "tqdm": "tqdm",
    "numpy": "numpy",
    "PIL": "Pillow",
    "sklearn": "scikit-learn",
    "safetensors": "safetensors",
    "filelock": "filelock",
    "matplotlib": "matplotlib",
    "pytest": "pytest",
    "xdist": "pytest-xdist",
}


def has_openai_clip() -> bool:
    """Whether OpenAI's clip is installed; the PyPI package "clip" is a clipboard tool."""
    spec = importlib.util.find_spec("clip")
    folders = spec.submodule_search_locations if spec else None
    return any(Path(f, "simple_tokenizer.py").is_file() for f in folders or [])


def clip_needs_pkg_resources() -> bool:
    spec = importlib.util.find_spec("clip")
    source = Path(spec.submodule_search_locations[0], "clip.py").read_text()
    return "pkg_resources" in source and importlib.util.find_spec("pkg_resources") is None


def has_this_project() -> bool:
    """Whether this checkout is installed, so that ueo.trainers is the folder trainers/."""
    spec = importlib.util.find_spec("ueo")
    folders = spec.submodule_search_locations if spec else None
    here = Path(__file__).resolve().parents[1] / "ueo"
    return any(Path(f).resolve() == here for f in folders or []) and bool(
        importlib.util.find_spec("ueo.trainers")
    )


def missing() -> list[str]:
    """Return the names of what is missing."""
    names = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if not has_openai_clip():
        names.append("clip (OpenAI's; on PyPI as clip-anytorch)")
    elif clip_needs_pkg_resources():
        names.append("setuptools<81 (this clip imports pkg_resources)")
    try:
        installed = has_this_project()
    except ImportError:
        installed = False
    if not installed:
        names.append("ueo-toolbox (this repository)")
    return names


def main() -> int:
    names = missing()
    if not names:
        return 0
    print("Error: the active environment lacks: " + ", ".join(names), file=sys.stderr)
    print(
        f"Install them from {Path(__file__).resolve().parents[1]} with:\n"
        f'    {sys.executable} -m pip install -c constraints.txt -e ".[test]"\n'
        "or deactivate the environment, and the script makes .venv for you.",
        file=sys.stderr,
    )
    return 3


if __name__ == "__main__":
    sys.exit(main())
