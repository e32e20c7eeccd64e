"""The two architectures of a tiny CLIP, with fresh weights: OpenAI's ResNet, open_clip's ViT."""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from clip.model import CLIP
from packages import SIZE
from safetensors.torch import save_file
from torch import Tensor, nn

ARCHITECTURES = ("resnet", "vit")
TEXT_WIDTH, TEXT_LAYERS, EMBED, CONTEXT = 128, 3, 128, 77
RESNET_WIDTH, RESNET_LAYERS = 20, (1, 1, 1, 1)
VOCABULARY = 49408  # OpenAI's tokenizer
VIT = {  # open_clip's model_cfg
    "embed_dim": EMBED,
    "vision_cfg": {"image_size": SIZE, "patch_size": 8, "width": 128, "head_width": 64,
                   "layers": 6},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": VOCABULARY, "width": TEXT_WIDTH,
                 "heads": TEXT_WIDTH // 64, "layers": TEXT_LAYERS},
}
DROPPED = 0.5  # share of patches that a ViT drops in a step (FLIP, Li et al. 2023)


def build_model(architecture: str, seed: int, vocabulary: int) -> nn.Module:
    """A model with fresh weights and a token embedding of the compact vocabulary."""
    torch.manual_seed(seed)
    if architecture == "resnet":
        return CLIP(EMBED, SIZE, RESNET_LAYERS, RESNET_WIDTH, None, CONTEXT, vocabulary,
                    TEXT_WIDTH, TEXT_WIDTH // 64, TEXT_LAYERS)
    import open_clip  # needed by this architecture alone

    vision = {**VIT["vision_cfg"], "patch_dropout": DROPPED}
    text = {**VIT["text_cfg"], "vocab_size": vocabulary}
    return open_clip.CLIP(EMBED, vision, text)


def see_everything(model: nn.Module) -> None:
    """Show a ViT all patches from now on, as FLIP does in its last steps."""
    if hasattr(model.visual, "patch_dropout"):
        model.visual.patch_dropout = nn.Identity()


def encode_text(model: nn.Module, tokens: Tensor, end: Tensor) -> Tensor:
    """L2-normalised text features, (texts, embedding). tokens: (texts, length) compact ids; end:
    (texts,) position of the end-of-text token."""
    x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
    for block in model.transformer.resblocks:
        attention = block.attn
        parts = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
        parts = parts.unflatten(-1, (3, attention.num_heads, -1)).transpose(1, 3).unbind(2)
        seen = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + attention.out_proj(seen.transpose(1, 2).flatten(2))
        x = x + block.mlp(block.ln_2(x))
    x = model.ln_final(x[torch.arange(len(end)), end])
    return F.normalize(x @ model.text_projection, dim=-1)


def save(model: nn.Module, ids: Tensor, path: str, facts: dict) -> None:
    """Save the state dict in fp16, with `token_embedding.ids`, the BPE id of each compact row. A
    ResNet becomes a file in OpenAI's layout, a ViT a folder for open_clip's `local-dir:`."""
    state = {
        k: (v.half() if v.is_floating_point() else v).cpu().contiguous()
        for k, v in model.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    state["token_embedding.ids"] = ids.int().cpu()
    if facts["architecture"] == "vit":
        Path(path).mkdir(parents=True, exist_ok=True)
        Path(path, "open_clip_config.json").write_text(json.dumps({"model_cfg": VIT}, indent=2))
        path = str(Path(path, "open_clip_model.safetensors"))
    save_file(state, path, {"format": "tiny_clip", **{k: str(v) for k, v in facts.items()}})
