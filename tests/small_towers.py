"""Small open_clip models of every kind, with random weights, in folders that `local-dir:` names.

The timm towers are timm's own functions with smaller numbers. The stand-in for SigLIP's tokeniser
behaves like it: no start token, and the end-of-text token as padding.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from zlib import crc32

import open_clip
import timm
import torch
from safetensors.torch import save_file
from timm.models import register_model
from torch import nn

KINDS = ("resnet", "vit", "vit_quickgelu", "siglip", "eva", "pe", "mobileclip", "convnext")
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
PREPROCESSING = {
    "siglip": {**HALF, "interpolation": "bicubic", "resize_mode": "squash"},
    "pe": {**HALF, "interpolation": "bilinear", "resize_mode": "squash"},
    "mobileclip": {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear",
                   "resize_mode": "shortest"},
    "eva": {"interpolation": "bicubic", "resize_mode": "longest"},
}
LEARNT_BIAS = -7.5  # of the SigLIP, whose configuration starts it at -10
SIZES = {"resnet": 64, "mobileclip": 64, "convnext": 64}  # pixels; 32 for the others
TRUNKS = {
    "siglip": ("vit_base_patch16_siglip_224",
               {"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}),
    "eva": ("eva02_base_patch16_clip_224",
            {"img_size": 32, "embed_dim": 64, "depth": 2, "num_heads": 2}),
    "pe": ("vit_pe_core_base_patch16_224",
           {"img_size": 32, "embed_dim": 64, "depth": 2, "num_heads": 2, "attn_pool_num_heads": 2}),
    "mobileclip": ("fastvit_mci0", {"layers": (1, 1, 1, 1), "embed_dims": (8, 16, 32, 64)}),
    "convnext": ("convnext_base", {"depths": (1, 1, 1, 1), "dims": (8, 16, 32, 64)}),
}
POOLS = {"siglip": ("map", "none"), "eva": ("token", None), "pe": ("map", None),
         "mobileclip": ("avg", None), "convnext": ("", "linear")}


def _register(kind: str) -> None:
    whole, smaller = TRUNKS[kind]

    def build(pretrained=False, **options):
        return timm.create_model(whole, **{**smaller, **options})

    build.__name__ = f"small_{kind}"
    register_model(build)


for _kind in TRUNKS:
    _register(_kind)


def configuration(kind: str) -> dict:
    """open_clip's `model_cfg`, as in its file of the model that the kind is named after."""
    size = SIZES.get(kind, 32)
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    if kind in TRUNKS:
        pool, projection = POOLS[kind]
        vision = {"timm_model_name": f"small_{kind}", "timm_model_pretrained": False,
                  "timm_pool": pool, "timm_proj": projection, "image_size": size}
    elif kind == "resnet":
        vision = {"image_size": size, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    else:
        vision = {"image_size": size, "layers": 2, "width": 64, "patch_size": 16}
    found = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    if kind in ("resnet", "vit_quickgelu"):
        found["quick_gelu"] = True
    if kind in ("siglip", "eva", "pe", "mobileclip"):
        found["custom_text"] = True
    if kind == "pe":
        text["context_length"] = 32
    if kind in ("siglip", "mobileclip"):
        text["no_causal_mask"] = True
    if kind == "siglip":
        found["init_logit_bias"] = -10
        text.update(context_length=24, vocab_size=1000, proj_bias=True, pool_type="last",
                    hf_tokenizer_name="pretended", tokenizer_kwargs={"clean": "canonicalize"})
    return found


def folder_of(kind: str, folder: Path, seed: int = 0) -> Path:
    """Write a small model of this kind, with random weights, to `folder`; return the folder."""
    folder.mkdir(parents=True)
    config = {"model_cfg": configuration(kind), "preprocess_cfg": PREPROCESSING.get(kind, {})}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False).eval()
    _make_lively(model)
    state = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@torch.no_grad()
def _make_lively(model: nn.Module) -> None:
    """Set statistics that no batch has, and let no layer's or prompt's signal die out."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm) and module.weight is not None:
            module.weight.uniform_(0.5, 1.5)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear) and module.weight.std() < 1e-3:
            nn.init.kaiming_normal_(module.weight)
    getattr(model, "text", model).token_embedding.weight.mul_(20)
    if getattr(model, "logit_bias", None) is not None:
        model.logit_bias.fill_(LEARNT_BIAS)


class AutoTokenizer:
    """Stands in for `transformers.AutoTokenizer`, as open_clip uses it; ids are checksums."""

    @classmethod
    def from_pretrained(cls, name: str, **options) -> "AutoTokenizer":
        return cls()

    def __call__(self, texts: list[str], max_length: int, **options) -> SimpleNamespace:
        ids = torch.ones(len(texts), max_length, dtype=torch.long)
        for row, text in zip(ids, texts):
            words = [2 + crc32(word.encode()) % 998 for word in text.split()][: max_length - 1]
            row[: len(words)] = torch.tensor(words, dtype=torch.long)
        return SimpleNamespace(input_ids=ids)
