"""open_clip's `CLIP` and `CustomTextCLIP` as a Backbone."""

import copy
from collections.abc import Callable
from dataclasses import asdict

import torch
from torch import Tensor, nn

from ueo.clip.towers.interface import NORMS, Backbone, affine_by_type
from ueo.clip.towers.open_clip_names import library
from ueo.clip.towers.openai import affine_by_name
from ueo.clip.towers.text import TextEncoder
from ueo.clip.towers.tokens import Tokeniser
from ueo.settings.preprocessing import Preprocessing


def build(config: dict, half: bool = False) -> nn.Module:
    """Build a model with random weights. config: {"model_cfg": ..., "preprocess_cfg": ...}; half:
    in half precision except for normalisation layers, like OpenAI's.

    open_clip.create_model takes names only, and warns that the weights are random.
    """
    known, of_model = library(), copy.deepcopy(config["model_cfg"])
    kind = known.CustomTextCLIP if of_model.pop("custom_text", False) else known.CLIP
    of_timm = "timm_model_name" in of_model["vision_cfg"]
    of_model["vision_cfg"]["timm_model_pretrained"] = False
    model = kind(**of_model, cast_dtype=torch.float16 if half else None)
    if half and of_timm:
        model.half()
        for module in model.modules():
            if isinstance(module, known.transformer.LayerNormFp32):  # casts by itself
                module.float()
            elif isinstance(module, NORMS):
                module.float().register_forward_pre_hook(_in_full)
                module.register_forward_hook(_in_half)
    elif half:
        known.model.convert_weights_to_lp(model, dtype=torch.float16)
    steps = {**asdict(known.transform.PreprocessCfg()), **config["preprocess_cfg"]}
    known.model.set_model_preprocess_cfg(model, steps)
    return model


def _in_full(module: nn.Module, images: tuple[Tensor]) -> tuple[Tensor]:
    return (images[0].float(),)


def _in_half(module: nn.Module, images: tuple[Tensor], normalised: Tensor) -> Tensor:
    return normalised.half()


def fill(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a state dict, in any layout that open_clip accepts for the model. Raises ValueError with
    the first difference in names or shapes; nothing is resized."""
    known = library()
    state = known.convert.convert_state_dict(model, dict(state))
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = known.model.convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):  # a number, or a list of one
        if name in state and getattr(model, name, None) is not None:
            state[name] = state[name].reshape(getattr(model, name).shape)
    if different := _difference(model.state_dict(), state):
        raise ValueError(different)
    model.load_state_dict(state)


def _difference(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    for name, tensor in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != tensor.shape:
            return f"{name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
    return next((f"{name} is one too many" for name in found if name not in wanted), "")


def wrap(model: nn.Module, encode: Callable[..., Tensor], config: dict | None = None) -> Backbone:
    """Return the model as a Backbone; parameters are shared. `affine` selects by name as for
    OpenAI's towers; in image towers of timm, all normalisation layers.

    encode: its tokeniser, (texts, context_length=) -> ids (texts, context length). config: what it
    was built from.
    """
    of_text = getattr(model, "text", model)  # in CustomTextCLIP a module of its own
    pooling = getattr(model, "text_pool_type", None) or of_text.pool_type
    text = TextEncoder(
        of_text.transformer.resblocks, of_text.positional_embedding, of_text.ln_final,
        of_text.text_projection, causal=of_text.attn_mask is not None, pooling=pooling,
    )
    end_of_text = getattr(model, "text_eos_id", None) or getattr(of_text, "eos_id", None)
    tokenise = Tokeniser(lambda texts, length: encode(texts, context_length=length),
                         of_text.context_length, pooling, end_of_text)
    return Backbone(
        model=model,
        visual=model.visual,
        text=text,
        token_embedding=of_text.token_embedding,
        tokenise=tokenise,
        preprocessing=Preprocessing.of_open_clip(model.visual.preprocess_cfg),
        embedding=_embedding(text),
        affine=affine_by_type if hasattr(model.visual, "trunk") else affine_by_name,
        config=config,
    )


def _embedding(text: TextEncoder) -> int:
    projection = text.text_projection
    if projection is None:
        return text.positional_embedding.shape[1]
    return projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]
