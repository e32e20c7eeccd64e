"""Streams compared: what the size of a batch and the order of the images do to each method."""
