"""CLIP as every method here uses it: backbones, prompts, the prompted model, what is tuned."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which announces its retirement
    import clip  # noqa: F401
