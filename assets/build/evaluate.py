"""Measure a tiny CLIP on the emoji data set, without any training, and write the figures as JSON.

    python assets/build/evaluate.py CHECKPOINT PIXELS.json OUTPUT.json [--styles STYLE ...]

Figures per style: zero-shot accuracy with PROMPT on the 28 known classes and on all 40, AUROC of
the MCM score (the largest softmax of unscaled cosines, temperature 1; known classes are positive),
and the figures of pixels.py, which need no model. `card.py` makes the model card from the JSON.
Measure target styles only once, on the final checkpoint. While developing a recipe, name source
styles with --styles.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

import clip
import numpy as np
import torch
import torch.nn.functional as F
from archive import percent, read_archive
from clip.model import CLIP, build_model
from emoji_classes import NAMES, NUM_KNOWN
from packages import SETS, SIZE
from pretrain import MEAN, STD
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

PROMPT = "a photo of a {}."
VOCABULARY = 49408


def load_model(path: Path) -> tuple[CLIP, dict]:
    """OpenAI's CLIP with the checkpoint's weights in fp32, and facts for the model card."""
    state = load_file(path)
    rows = state["token_embedding.weight"]
    full = torch.zeros(VOCABULARY, rows.shape[1], dtype=rows.dtype)
    full[state.pop("token_embedding.ids").long()] = rows
    state["token_embedding.weight"] = full
    model = build_model(dict(state)).float()
    model.load_state_dict(state)
    with safe_open(path, "pt") as file:
        facts = dict(file.metadata())
    facts |= {
        "bytes": path.stat().st_size,
        "tokens": len(rows),
        "parameters": sum(p.numel() for p in model.parameters()) - full.numel() + rows.numel(),
        "parameters_visual": sum(p.numel() for p in model.visual.parameters()),
        "scale": float(model.logit_scale.detach().exp()),
    }
    return model.eval(), facts


@torch.no_grad()
def image_features(model: CLIP, images: np.ndarray) -> Tensor:
    """L2-normalised image features, (n, embed)."""
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    return F.normalize(torch.cat([model.encode_image(part) for part in x.split(128)]), dim=-1)


@torch.no_grad()
def class_features(model: CLIP) -> Tensor:
    """L2-normalised text features of the prompts of all classes, (40, embed)."""
    tokens = clip.tokenize([PROMPT.format(name.replace("_", " ")) for name in NAMES])
    return F.normalize(model.encode_text(tokens), dim=-1)


def zero_shot(logits: Tensor, labels: np.ndarray) -> dict:
    """Figures of the zero-shot model. logits: (n, 40) cosines with the prompts of all classes."""
    known = labels < NUM_KNOWN
    right28 = logits[:, :NUM_KNOWN].argmax(1).numpy() == labels
    right40 = logits.argmax(1).numpy() == labels
    score = logits[:, :NUM_KNOWN].softmax(1).amax(1).numpy()
    share = right28[known].mean()
    return {
        "images": len(labels),
        "images_known": int(known.sum()),
        "acc28": percent(share),
        "acc28_se": percent((share * (1 - share) / known.sum()) ** 0.5),
        "pacc28": percent(np.mean([right28[labels == k].mean() for k in np.unique(labels[known])])),
        "acc40": percent(right40.mean()),
        "auroc": percent(roc_auc_score(known, score)),
    }


def cost(model: CLIP) -> dict:
    """Median seconds of the image tower for 64 images on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x, times = torch.rand(64, 3, SIZE, SIZE), {"forward": [], "forward_backward": []}
    for _ in range(12):
        start = time.perf_counter()
        out = model.encode_image(x)
        middle = time.perf_counter()
        out.square().mean().backward()
        times["forward"].append(middle - start)
        times["forward_backward"].append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return {k: round(float(np.median(v)), 4) for k, v in times.items()}


def cpu_name() -> str:
    """Linux's name of the processor, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkpoint", type=Path)
    p.add_argument("pixels", type=Path, help="the JSON that pixels.py wrote")
    p.add_argument("output", type=Path)
    p.add_argument("--styles", nargs="*", default=list(SETS), choices=list(SETS))
    args = p.parse_args()
    model, facts = load_model(args.checkpoint)
    data, pixels = read_archive(), json.loads(args.pixels.read_text())
    text, figures = class_features(model), {}
    for style in args.styles:
        logits = image_features(model, data[style]["images"]) @ text.T
        test = data[style]["test"]
        figures[style] = {
            **zero_shot(logits, data[style]["labels"]),
            "test": zero_shot(logits[test], data[style]["labels"][test]),
            **pixels["styles"][style],
        }
        print(style, {k: v for k, v in figures[style].items() if k != "test"}, flush=True)
    result = {"model": facts, "prompt": PROMPT, "cost": cost(model), "cpu": cpu_name(),
              "styles": figures, "pool": pixels["pool"]}
    args.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
