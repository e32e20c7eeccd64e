"""What a CLIP is to everything outside this folder, whichever library it comes from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ueo.clip.towers.text import TextEncoder
from ueo.clip.towers.tokens import Tokeniser
from ueo.settings.preprocessing import Preprocessing

NORMS = (nn.LayerNorm, nn.GroupNorm, _BatchNorm)


@dataclass
class Backbone:
    """An image tower, a text tower, and how pictures and texts become their input.

    model: the library's own, which holds all parameters;
    visual: images (batch, 3, height, width) -> features (batch, embedding), not normalised;
    embedding: length of a feature; affine: gives {name below `visual`: parameter} of the image
    tower's normalisation layers that the released code tunes; config: what open_clip builds the
    model from, the content of an open_clip_config.json, None for OpenAI's, whose weights say it.
    """

    model: nn.Module
    visual: nn.Module
    text: TextEncoder
    token_embedding: nn.Embedding
    tokenise: Tokeniser
    preprocessing: Preprocessing
    embedding: int
    affine: Callable[[nn.Module], dict[str, nn.Parameter]]
    config: dict | None = None

    @property
    def dtype(self) -> torch.dtype:
        """What both towers compute in; normalisation layers may hold fp32."""
        return self.text.dtype

    @property
    def logit_scale(self) -> float:
        """The model's own factor between cosines and logits; 100 for OpenAI's."""
        return math.exp(float(self.model.logit_scale.detach().float()))

    @property
    def logit_bias(self) -> float | None:
        """What SigLIP adds to its logits, the same for all pairs; None for a softmax's model."""
        bias = getattr(self.model, "logit_bias", None)
        return None if bias is None else float(bias.detach().float())

    def affine_parameters(self, of_all: bool = False) -> dict[str, nn.Parameter]:
        """{name below `visual`: parameter} of the image tower's normalisation layers; of_all: of
        those, too, that the released code leaves out."""
        return affine_by_type(self.visual) if of_all else self.affine(self.visual)


def affine_by_type(visual: nn.Module) -> dict[str, nn.Parameter]:
    """Affine parameters of all normalisation layers, those of timm's own subclasses too."""
    return {
        f"{name}.{leaf}": parameter
        for name, module in visual.named_modules()
        if isinstance(module, NORMS)
        for leaf, parameter in module.named_parameters(recurse=False)
    }
