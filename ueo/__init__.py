"""Universal Entropy Optimization and its peers: unsupervised universal fine-tuning of CLIP."""

__version__ = "0.1.0"
