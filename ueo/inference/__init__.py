"""A finished run as a model: predictions of new images, without those that it was trained on."""
