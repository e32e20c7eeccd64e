"""Universal Entropy Optimization and its peers: unsupervised universal fine-tuning of CLIP."""

import modern_dassl  # noqa: F401  (makes `dassl` importable, which all below this imports)

__version__ = "0.1.0"
