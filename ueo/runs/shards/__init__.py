"""Runs on images in shards: a first pass by the frozen model, epochs, evaluations. None of them
holds more than a few batches of images. docs/streams.md has the rules."""
