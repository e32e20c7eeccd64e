"""Build an exported model of open_clip from its configuration, before its weights are loaded."""

import copy
import math

import torch
from torch import Tensor

from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.open_clip import build, wrap
from ueo.clip.towers.open_clip_files import tokeniser
from ueo.clip.towers.open_clip_names import parse

# a small text tower for exports with fixed class features, which never run it
UNREAD_TEXT = {"context_length": 256, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}


def unfilled(config: dict, logit_scale: float, logit_bias: float | None, embedded: Tensor | None,
             name: str, precision: str, device: torch.device) -> Backbone:
    """Build the backbone with random weights, frozen, on `device`.

    config, logit_scale, logit_bias: the Backbone's. embedded: (vocabulary, width), embeddings of
    tokens, since prompts are built before weights are loaded; None: the text tower is a dummy.
    name, precision: see ueo/clip/backbones.py.
    """
    config = copy.deepcopy(config)
    if embedded is None:
        config["model_cfg"]["text_cfg"] = UNREAD_TEXT
    model = build(config, half=precision == "fp16")
    backbone = wrap(model, tokeniser(parse(name), config["model_cfg"]["text_cfg"]), config)
    with torch.no_grad():
        model.logit_scale.fill_(math.log(logit_scale))
        if logit_bias is not None:
            model.logit_bias.fill_(logit_bias)
        if embedded is not None:
            backbone.token_embedding.weight.copy_(embedded)
    model.to(device).eval().requires_grad_(False)
    return backbone
