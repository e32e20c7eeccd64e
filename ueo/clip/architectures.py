"""OpenAI's architectures with random weights, for checks and benchmarks without a download."""

import torch
from clip.model import CLIP

from ueo.errors import ConfigError

# embedding, resolution, vision layers, vision width, patch, context, vocabulary, text width, heads,
# layers
ARCHITECTURES = {
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 77, 49408, 512, 8, 12),
    "ViT-B/32": (512, 224, 12, 768, 32, 77, 49408, 512, 8, 12),
    "ViT-B/16": (512, 224, 12, 768, 16, 77, 49408, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 77, 49408, 768, 12, 12),
}


def random_clip(name: str) -> CLIP:
    """Build a CLIP of OpenAI's architecture `name` in evaluation mode. Raises ConfigError for a
    name that is not in ARCHITECTURES."""
    if name not in ARCHITECTURES:
        raise ConfigError(f"{name!r} with random weights: known are {', '.join(ARCHITECTURES)}")
    torch.manual_seed(0)
    return CLIP(*ARCHITECTURES[name]).eval()
