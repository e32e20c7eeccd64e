"""Universal Entropy Optimization and its peers: unsupervised universal fine-tuning of CLIP."""

from importlib import import_module

import modern_dassl  # noqa: F401  (makes `dassl` importable for all modules below)

__version__ = "0.1.0"


def load(folder, device: str = "auto", plugin: tuple[str, ...] = ()):
    """Load the model of the finished run, or of the export, in `folder` (ueo/inference/load.py)."""
    return import_module("ueo.inference.load").load(folder, device, plugin)
