"""Kernels of the project's own, for what torch launches as several passes over memory."""
