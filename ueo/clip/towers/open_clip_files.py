"""Models of open_clip by name, with published weights, a file of weights, or a folder.

    open_clip:ViT-B-16/laion2b_s34b_b88k       a model of open_clip and one of its sets of weights
    open_clip:ViT-B-16/weights/b16.safetensors a model of open_clip and a file of weights for it
    open_clip:hf-hub:laion/CLIP-...            a repository of the Hugging Face hub
    open_clip:local-dir:models/mine            a folder with open_clip_config.json and weights
"""

from pathlib import Path

import torch

from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.open_clip import wrap

PREFIX = "open_clip:"


def is_named(name: str) -> bool:
    """Whether a backbone's name is one of those above."""
    return name.startswith(PREFIX)


def load(name: str, precision: str, weights: dict[str, torch.Tensor] | None = None) -> Backbone:
    """The backbone on the CPU. precision, weights: see ueo/clip/backbones.py."""
    import open_clip

    model, _, chosen = name.removeprefix(PREFIX).partition("/")
    half = "fp16" if precision == "fp16" else "fp32"
    built = open_clip.create_model(model, pretrained=chosen or None, precision=half)
    return wrap(built, open_clip.get_tokenizer(model))


def weights_file(name: str) -> Path:
    """Where the weights are."""
    return Path(name.removeprefix(PREFIX).partition("/")[2])
