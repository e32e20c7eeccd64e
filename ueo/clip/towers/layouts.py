"""Which image towers have OpenAI's architecture, whichever library they come from.

Only these support the fast forward pass, visual prompts and local features; any other tower runs as
its library has it.
"""

from torch import nn

RESNET, VIT = "resnet", "vit"
# by name, since open_clip may not be installed
CLASSES = {
    "clip.model.ModifiedResNet": RESNET,
    "open_clip.modified_resnet.ModifiedResNet": RESNET,
    "clip.model.VisionTransformer": VIT,
    "open_clip.transformer.VisionTransformer": VIT,
}


def layout(visual: nn.Module) -> str | None:
    """Return RESNET, VIT, or None for another architecture."""
    kind = type(visual)
    found = CLASSES.get(f"{kind.__module__}.{kind.__qualname__}")
    return None if found == VIT and not _reads_its_class_token(visual) else found


def _reads_its_class_token(visual: nn.Module) -> bool:
    """Whether a ViT is OpenAI's up to its activation; open_clip's has many options."""
    blocks = visual.transformer.resblocks
    return (
        getattr(visual, "attn_pool", None) is None
        and getattr(visual, "pool_type", "tok") == "tok"
        and not getattr(visual, "output_tokens", False)
        and isinstance(visual.ln_pre, nn.LayerNorm)
        and all(isinstance(block.attn, nn.MultiheadAttention) for block in blocks)
        and not any(hasattr(getattr(block, "ls_1", None), "gamma") for block in blocks)
    )


def described(visual: nn.Module) -> str:
    """Return the tower's name for messages, "TimmModel (FastVit)"."""
    trunk = getattr(visual, "trunk", None)
    return type(visual).__name__ + (f" ({type(trunk).__name__})" if trunk is not None else "")
