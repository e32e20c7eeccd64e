"""open_clip's `CLIP` and `CustomTextCLIP` behind the interface."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.text import TextEncoder
from ueo.clip.towers.tokens import Tokeniser
from ueo.settings.preprocessing import Preprocessing

NORMS = (nn.LayerNorm, nn.GroupNorm, _BatchNorm)


def wrap(model: nn.Module, encode: Callable[..., Tensor]) -> Backbone:
    """The model as a Backbone; they share parameters.

    encode: its tokeniser, (texts, context_length=) -> ids (texts, context length).
    """
    of_text = getattr(model, "text", model)  # CustomTextCLIP's has a module of its own
    pooling = getattr(model, "text_pool_type", None) or of_text.pool_type
    text = TextEncoder(
        of_text.transformer.resblocks, of_text.positional_embedding, of_text.ln_final,
        of_text.text_projection, causal=of_text.attn_mask is not None, pooling=pooling,
    )
    tokenise = Tokeniser(lambda texts, length: encode(texts, context_length=length),
                         of_text.context_length, pooling, _end_of_text(model, of_text))
    return Backbone(
        library="open_clip",
        model=model,
        visual=model.visual,
        text=text,
        token_embedding=of_text.token_embedding,
        tokenise=tokenise,
        preprocessing=Preprocessing.of_open_clip(model.visual.preprocess_cfg),
        embedding=_embedding(text),
        affine=affine_by_type,
    )


def _end_of_text(model: nn.Module, of_text: nn.Module) -> int | None:
    return getattr(model, "text_eos_id", None) or getattr(of_text, "eos_id", None)


def _embedding(text: TextEncoder) -> int:
    projection = text.text_projection
    if projection is None:
        return text.positional_embedding.shape[1]
    return projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]


def affine_by_type(visual: nn.Module) -> dict[str, nn.Parameter]:
    """Affine parameters of all normalisation layers, those of timm's own subclasses too."""
    return {
        f"{name}.{leaf}": parameter
        for name, module in visual.named_modules()
        if isinstance(module, NORMS)
        for leaf, parameter in module.named_parameters(recurse=False)
    }
