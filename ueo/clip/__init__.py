"""CLIP as every method here uses it: backbones, prompts, the prompted model, what is tuned."""

import sys
import warnings


def _import_clip() -> None:
    """Import `clip` without the call of torch.cuda that it makes for the default of clip.load().

    A child that is forked after such a call cannot use CUDA. Here clip.load() makes it when called.
    """
    import torch

    import modern_dassl.torchvision_alone  # noqa: F401  (imported before CUDA is hidden below)

    asked, torch.cuda.is_available = torch.cuda.is_available, lambda: False
    try:
        from clip import clip
    finally:
        torch.cuda.is_available = asked
    load = clip.load

    def load_on_default(name, device=None, *args, **options):
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return load(name, device, *args, **options)

    load_on_default.__doc__ = load.__doc__
    clip.load = sys.modules["clip"].load = load_on_default


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip imports pkg_resources, which announces its retirement
    _import_clip()
