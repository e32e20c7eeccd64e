"""An adapted model's towers in OpenAI's layout, which clip.load and open_clip can load."""

import math

import clip.model
import torch
from torch import Tensor

from ueo.clip.model import PromptedCLIP

IMAGE = "visual."
TEXT = {"text_encoder.blocks.": "transformer.resblocks.", "text_encoder.": "",
        "token_embedding.": "token_embedding."}  # ours -> OpenAI's
OWN_TEXT = (*TEXT, "prompt.")  # prefixes of the text side in our layout


def openai_layout(state: dict[str, Tensor], logit_scale: float) -> dict[str, Tensor]:
    """Convert the state dict of a PromptedCLIP to one of clip.model.CLIP, with its tuned towers.
    What OpenAI's model has no place for is left out."""
    found = {"logit_scale": torch.tensor(math.log(logit_scale))}
    for name, tensor in state.items():
        if name.startswith(IMAGE):
            found[name] = tensor
        elif start := next((start for start in TEXT if name.startswith(start)), None):
            found[TEXT[start] + name.removeprefix(start)] = tensor
    return found


def with_a_text_tower(state: dict[str, Tensor], embedding: int) -> dict[str, Tensor]:
    """Return `state` with the smallest possible text tower, all zeros, if it has none, so that a
    CLIP can be built. For models with fixed class features."""
    if "text_projection" in state:
        return state
    with torch.device("meta"):  # shapes only
        smallest = clip.model.CLIP(embedding, 32, 1, 64, 32, 77, 49408, 64, 1, 1).state_dict()
    zeros = {n: torch.zeros(t.shape) for n, t in smallest.items() if not n.startswith(IMAGE)}
    return {**zeros, **state}


def with_an_image_tower(state: dict[str, Tensor], made: dict) -> dict[str, Tensor]:
    """Return `state` with exactly the image weights of the tower `made` (see `image_tower`). Those
    that have other names, because a trainer changed the tower, are zeros."""
    with torch.device("meta"):  # shapes only
        tower = getattr(clip.model, made["class"])(**made["arguments"]).state_dict()
    zeros = {IMAGE + n: torch.zeros(t.shape, dtype=t.dtype) for n, t in tower.items()}
    return {**zeros, **{n: t for n, t in state.items() if n in zeros or not n.startswith(IMAGE)}}


def not_merged(network) -> list[str]:
    """Return what a run has learnt that OpenAI's layout cannot hold: "prompt", "adapter" and the
    like. network: its trainer."""
    learnt = {*network.saved_state().state_dict()} & {*network.model.state_dict()}
    return sorted({n.partition(".")[0] for n in learnt} - {"visual", "text_encoder"})


def image_tower(model: PromptedCLIP) -> dict:
    """Return the image tower's {"class": ..., "arguments": ...} in clip.model."""
    visual = model.visual
    if isinstance(visual, clip.model.VisionTransformer):
        blocks = visual.transformer.resblocks
        sizes = {"patch_size": visual.conv1.kernel_size[0], "width": visual.conv1.out_channels,
                 "layers": len(blocks), "heads": blocks[0].attn.num_heads}
    else:
        layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
        sizes = {"layers": [len(layer) for layer in layers],
                 "width": visual.layer1[0].conv1.out_channels, "heads": visual.attnpool.num_heads}
    arguments = {"input_resolution": visual.input_resolution, "output_dim": model.embedding}
    return {"class": type(visual).__name__, "arguments": {**arguments, **sizes}}


def smallest(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the same values, contiguous, in half precision if that is lossless, as for OpenAI's
    weights that were not tuned."""
    return {name: _smallest(tensor.detach().cpu().contiguous()) for name, tensor in state.items()}


def _smallest(tensor: Tensor) -> Tensor:
    half = tensor.half()
    exact = tensor.dtype == torch.float32 and torch.equal(half.float(), tensor)
    return half if exact else tensor.clone()  # cloned: no two of a file share memory

