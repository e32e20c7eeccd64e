"""The interface to a CLIP outside this folder, whichever library the model comes from."""

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

    model:     the library's own, which holds all parameters.
    visual:    images (batch, 3, height, width) -> features (batch, embedding), not normalised.
    embedding: length of a feature.
    affine:    visual -> {name: parameter} of the normalisation layers that released UEO tunes.
    config:    content of an open_clip_config.json; None for OpenAI's, whose weights determine it.
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
        """The dtype that both towers compute in; normalisation layers may hold fp32."""
        return self.text.dtype

    @property
    def logit_scale(self) -> float:
        """The model's own factor between cosines and logits; 100 for OpenAI's."""
        return math.exp(float(self.model.logit_scale.detach().float()))

    @property
    def logit_bias(self) -> float | None:
        """The bias that SigLIP adds to all logits; None for models trained with a softmax."""
        bias = getattr(self.model, "logit_bias", None)
        return None if bias is None else float(bias.detach().float())

    def affine_parameters(self, of_all: bool = False) -> dict[str, nn.Parameter]:
        """Return {name below `visual`: parameter} of the normalisation layers; of_all: including
        those that the released code leaves out."""
        return affine_by_type(self.visual) if of_all else self.affine(self.visual)


def affine_by_type(visual: nn.Module) -> dict[str, nn.Parameter]:
    """Return the affine parameters of all normalisation layers, timm's subclasses included."""
    return {
        f"{name}.{leaf}": parameter
        for name, module in visual.named_modules()
        if isinstance(module, NORMS)
        for leaf, parameter in module.named_parameters(recurse=False)
    }
