"""An adapted model's towers in the layout of OpenAI's CLIP, which clip.load and open_clip take."""

import math

import clip.model
import torch
from torch import Tensor

from ueo.clip.model import PromptedCLIP

IMAGE = "visual."
TEXT = {"text_encoder.blocks.": "transformer.resblocks.", "text_encoder.": "",
        "token_embedding.": "token_embedding."}  # ours -> OpenAI's
OWN_TEXT = (*TEXT, "prompt.")  # names of the text side in our own layout


def openai_layout(state: dict[str, Tensor], logit_scale: float) -> dict[str, Tensor]:
    """State dict of clip.model.CLIP, from that of a PromptedCLIP, with whatever was tuned of its
    towers. What OpenAI's model has no place for is left out."""
    found = {"logit_scale": torch.tensor(math.log(logit_scale))}
    for name, tensor in state.items():
        if name.startswith(IMAGE):
            found[name] = tensor
        elif start := next((start for start in TEXT if name.startswith(start)), None):
            found[TEXT[start] + name.removeprefix(start)] = tensor
    return found


def with_a_text_tower(state: dict[str, Tensor], embedding: int) -> dict[str, Tensor]:
    """`state` with the smallest text tower that there is, all zeros, where it has none: so that a
    CLIP can be built whose class features are known."""
    if "text_projection" in state:
        return state
    with torch.device("meta"):  # shapes alone
        smallest = clip.model.CLIP(embedding, 32, 1, 64, 32, 77, 49408, 64, 1, 1).state_dict()
    zeros = {n: torch.zeros(t.shape) for n, t in smallest.items() if not n.startswith(IMAGE)}
    return {**zeros, **state}


def with_an_image_tower(state: dict[str, Tensor], made: dict) -> dict[str, Tensor]:
    """`state` with the weights of the tower that is `made` so (see `image_tower`) and no others:
    zeros for those that have other names since a trainer changed the tower."""
    with torch.device("meta"):  # shapes alone
        tower = getattr(clip.model, made["class"])(**made["arguments"]).state_dict()
    zeros = {IMAGE + n: torch.zeros(t.shape, dtype=t.dtype) for n, t in tower.items()}
    return {**zeros, **{n: t for n, t in state.items() if n in zeros or not n.startswith(IMAGE)}}


def not_merged(network) -> list[str]:
    """What a run has learnt that OpenAI's layout has no place for: "prompt", "adapter" and the
    like. network: its trainer."""
    learnt = {*network.saved_state().state_dict()} & {*network.model.state_dict()}
    return sorted({n.partition(".")[0] for n in learnt} - {"visual", "text_encoder"})


def image_tower(model: PromptedCLIP) -> dict:
    """Class and arguments in clip.model of the image tower: {"class": ..., "arguments": ...}."""
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
    """The same values, contiguous, in half precision wherever that loses nothing, as of OpenAI's
    own weights that were not tuned."""
    return {name: _smallest(tensor.detach().cpu().contiguous()) for name, tensor in state.items()}


def _smallest(tensor: Tensor) -> Tensor:
    half = tensor.half()
    exact = tensor.dtype == torch.float32 and torch.equal(half.float(), tensor)
    return half if exact else tensor.clone()  # cloned: no two of a file share memory

