"""Measure a tiny CLIP on the emoji data set, without any training, and write the figures as JSON.

    python assets/build/evaluate.py CHECKPOINT OUTPUT.json --pool pool.npz [--styles STYLE ...]

Per style: zero-shot accuracy on the 28 known classes and on all 40 with the prompt of PROMPT, AUROC
of the MCM score (the largest softmax of unscaled cosines, temperature 1; known classes are the
positives), the same of pixel nearest neighbours, and how much of the style was seen in pre-training
in some form. `card.py` makes the model card from the JSON. Target styles are meant to be measured
once, on the checkpoint that ships; while working on a recipe name source styles with --styles.
"""

import argparse
import io
import json
import os
import platform
import time
import zipfile
from pathlib import Path

import clip
import numpy as np
import torch
import torch.nn.functional as F
from artwork import SETS, SIZE, SOURCES
from clip.model import CLIP, build_model
from emoji_classes import NAMES, NUM_KNOWN
from PIL import Image
from pixels import nearest, neighbours, pool_pixels, small
from pretrain import MEAN, STD
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torch import Tensor

ASSETS = Path(__file__).resolve().parents[1]
PROMPT = "a photo of a {}."
VOCABULARY = 49408
ALIKE = 0.02  # mean absolute difference of 16 x 16 pixels below which pictures are near-duplicates


def load_model(path: Path) -> tuple[CLIP, dict]:
    """The checkpoint as OpenAI's class in fp32, and its facts."""
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


def read_archive() -> dict[str, dict]:
    """style -> images (uint8 n x SIZE x SIZE x 3), labels, concepts, test (bool: in the split)."""
    styles = {}
    with zipfile.ZipFile(ASSETS / "emoji.zip") as archive:
        for style, split in json.loads(archive.read("emoji/splits.json")).items():
            paths = split["train"] + split["test"]
            files = (io.BytesIO(archive.read(f"emoji/images/{p}")) for p in paths)
            styles[style] = {
                "images": np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files]),
                "labels": np.array([NAMES.index(Path(p).parts[1]) for p in paths]),
                "concepts": np.array([Path(p).stem for p in paths]),
                "test": np.arange(len(paths)) >= len(split["train"]),
            }
    return styles


@torch.no_grad()
def image_features(model: CLIP, images: np.ndarray) -> Tensor:
    """Unit vectors, (n, embed)."""
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    return F.normalize(torch.cat([model.encode_image(part) for part in x.split(128)]), dim=-1)


@torch.no_grad()
def class_features(model: CLIP) -> Tensor:
    """Unit vectors of the prompts of all classes, (40, embed)."""
    tokens = clip.tokenize([PROMPT.format(name.replace("_", " ")) for name in NAMES])
    return F.normalize(model.encode_text(tokens), dim=-1)


def percent(value) -> float:
    return round(100 * float(value), 2)


def zero_shot(logits: Tensor, labels: np.ndarray) -> dict:
    """Figures from cosines with the prompts of all classes, (n, 40)."""
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


def seen(style: str, data: dict, pixels: dict, pool: Tensor | None) -> dict:
    """The pixel baseline against the (other) source styles, and what of a style they share."""
    gallery = [s for s in SOURCES if s != style]
    labels = torch.from_numpy(np.concatenate([data[s]["labels"] for s in gallery]))
    vectors = torch.cat([pixels[s] for s in gallery])
    own = data[style]["labels"]
    drawn = {c for s in gallery for c in data[s]["concepts"]}
    facts = nearest(pixels[style], own, vectors, labels, NUM_KNOWN)
    facts = {k: percent(v) for k, v in facts.items()}
    facts["near_duplicates"] = percent((neighbours(pixels[style], vectors) < ALIKE).mean())
    facts["concepts_seen"] = percent(np.mean([c in drawn for c in data[style]["concepts"]]))
    if pool is not None and style not in SOURCES:
        facts["near_duplicates_pool"] = percent((neighbours(pixels[style], pool) < ALIKE).mean())
    return facts


def pool_facts(path: str) -> dict:
    """What the pre-training pool holds."""
    meta = json.loads(str(np.load(path)["meta"]))
    entries = meta["mono"] + meta["colour"]
    return {
        "one_colour": len(meta["mono"]),
        "many_colour": len(meta["colour"]),
        "emoji": {s: sum(o == s for *_, o in entries) for s in SOURCES},
        "emoji_with_class": sum(label >= 0 for _, label, o in entries if o in SOURCES),
        "icons_with_class": sum(label >= 0 for _, label, o in entries if o not in SOURCES),
        "sets": meta["sets"],
    }


def cost(model: CLIP) -> dict:
    """Median seconds of 64 images through the image tower on one thread."""
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
    """The processor as Linux names it, with its number of visible cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkpoint", type=Path)
    p.add_argument("output", type=Path)
    p.add_argument("--pool", help="the pre-training pool, to look for near-duplicates in it too")
    p.add_argument("--styles", nargs="*", default=list(SETS), choices=list(SETS))
    args = p.parse_args()
    model, facts = load_model(args.checkpoint)
    data = read_archive()
    pixels = {s: small(d["images"]) for s, d in data.items()}
    pool = pool_pixels(args.pool) if args.pool else None
    text = class_features(model)
    figures = {}
    for style in args.styles:
        logits = image_features(model, data[style]["images"]) @ text.T
        test = data[style]["test"]
        figures[style] = {
            **zero_shot(logits, data[style]["labels"]),
            "test": zero_shot(logits[test], data[style]["labels"][test]),
            **seen(style, data, pixels, pool),
        }
        print(style, {k: v for k, v in figures[style].items() if k != "test"}, flush=True)
    result = {"model": facts, "prompt": PROMPT, "cost": cost(model), "cpu": cpu_name(),
              "styles": figures}
    if args.pool:
        result["pool"] = pool_facts(args.pool)
    args.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
