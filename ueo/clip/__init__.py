"""CLIP as every method here uses it: backbones, prompts, the prompted model, what is tuned."""

import sys
import warnings


def _import_clip() -> None:
    """Import `clip`, which asks at its import whether there is CUDA: it is not to learn it yet.

    No process can use CUDA that was forked from one which asked. clip.load() has the answer as its
    default device; here it asks when it is called.
    """
    import torch

    import modern_dassl.torchvision_alone  # noqa: F401  (no other import may meet the answer below)

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
