"""One run: what it was started with, its evaluations, its checkpoint and its record."""
