"""OpenAI's `clip.model.CLIP` as a Backbone."""

import clip
from clip.model import CLIP, LayerNorm, ResidualAttentionBlock
from torch import Tensor, nn

from ueo.clip.towers.interface import Backbone
from ueo.clip.towers.text import TextEncoder
from ueo.clip.towers.tokens import Tokeniser
from ueo.errors import ConfigError
from ueo.settings.preprocessing import Preprocessing

NORM_MARKS = ("bn", "ln")


class OpenAITextEncoder(TextEncoder):
    """Its blocks take (length, classes, width) and hold attention masks for 77 tokens only."""

    def through_blocks(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x.permute(1, 0, 2)
        for number, block in enumerate(self.blocks):
            if _as_made(block):
                h = block.ln_1(x)
                x = x + block.attn(h, h, h, need_weights=False, attn_mask=mask)[0]
                x = x + block.mlp(block.ln_2(x))
            elif len(x) == len(self.positional_embedding):
                x = block(x)
            else:
                raise ConfigError(
                    f"block {number} of the text tower was replaced or has a hook: it needs "
                    "prompts of full length, so set the trainer's option FAST to False"
                )
        return x.permute(1, 0, 2)


def _as_made(block: nn.Module) -> bool:
    hooks = block._forward_hooks or block._forward_pre_hooks
    return type(block) is ResidualAttentionBlock and not hooks and "forward" not in vars(block)


def wrap(model: CLIP) -> Backbone:
    """Return the model as a Backbone; parameters are shared."""
    text = OpenAITextEncoder(
        model.transformer.resblocks, model.positional_embedding, model.ln_final,
        model.text_projection, causal=True, pooling="argmax",
    )
    size = model.visual.input_resolution
    return Backbone(
        model=model,
        visual=model.visual,
        text=text,
        token_embedding=model.token_embedding,
        tokenise=Tokeniser(_encode, len(model.positional_embedding)),
        preprocessing=Preprocessing((size, size)),
        embedding=model.text_projection.shape[1],
        affine=affine_by_name,
    )


def _encode(texts: list[str], length: int) -> Tensor:
    return clip.tokenize(texts, context_length=length, truncate=True)


def in_fp64(model: nn.Module) -> nn.Module:
    """Convert a model, or one made of its parts, to fp64 in place, and return it."""
    for module in model.double().modules():
        if isinstance(module, LayerNorm):  # CLIP's class computes in fp32
            module.__class__ = nn.LayerNorm
    return model


def affine_by_name(visual: nn.Module) -> dict[str, nn.Parameter]:
    """Return affine parameters of the image tower's normalisation layers, chosen by name.

    Paper: those of all normalisation layers. Released code, and here: those whose name contains
    "bn" or "ln", which leaves out the BatchNorm of ResNet's `downsample.1`.
    """
    return {
        name: parameter
        for name, parameter in visual.named_parameters()
        if any(mark in name for mark in NORM_MARKS)
    }
