"""Universal Entropy Optimization and its peers: unsupervised universal fine-tuning of CLIP."""

from importlib import import_module

import modern_dassl  # noqa: F401  (makes `dassl` importable, which all below this imports)

__version__ = "0.1.0"


def load(folder, device: str = "auto", plugin: tuple[str, ...] = ()):
    """The model that the finished run in `folder` has adapted: ueo/inference/adapted_model.py."""
    return import_module("ueo.inference.adapted_model").load(folder, device, plugin)
