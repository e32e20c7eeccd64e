"""Dassl's public API, written anew for today's PyTorch: configuration, data, training, evaluation.

Module paths, names, file layouts and log lines are those of Dassl 0.6.3.
"""

__version__ = "0.6.3"  # the version whose API this is
