"""Dassl's public API for today's PyTorch: configuration, data, training, evaluation.

Module paths, names, file layouts and log lines are those of Dassl 0.6.3.
"""

__version__ = "0.6.3"  # the version of the API
