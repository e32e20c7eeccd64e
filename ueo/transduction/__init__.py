"""Classify many images at once, from their features alone: the mathematics of transductive methods,
as pure functions of tensors."""
