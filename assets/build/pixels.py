"""Figures for the model card from pixels alone: a baseline, near-duplicates, concepts seen.

    python assets/build/pixels.py pool.npz OUTPUT.json

No model is needed. Figures per style: accuracy and AUROC of the nearest neighbour at 16 x 16 pixels
among the source styles, and the shares of near-duplicates and of concepts seen in pre-training.
Then follow the numbers of pictures in the pool.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from archive import percent, read_archive
from emoji_classes import NUM_KNOWN
from packages import SOURCES
from sklearn.metrics import roc_auc_score
from torch import Tensor

SIDE = 16
ALIKE = 0.02  # mean absolute difference below which pictures are near-duplicates
# nearest pictures by L2; the one of least mean absolute difference is chosen among them
CANDIDATES = 5


def small(images: np.ndarray) -> Tensor:
    """uint8 (n, size, size, 3) -> (n, SIDE * SIDE * 3) in [0, 1], the means of square blocks."""
    n, size = images.shape[:2]
    block = size // SIDE
    parts = np.array_split(images, max(n // 4096, 1))
    means = [p.reshape(len(p), SIDE, block, SIDE, block, 3).mean((2, 4), dtype=np.float32)
             for p in parts]
    return torch.from_numpy(np.concatenate(means)).flatten(1) / 255


def pool_pixels(path: str) -> Tensor:
    """`small` of a pre-training pool's icons on white, one-colour icons in black; emoji are left
    out."""
    data = np.load(path)
    meta = json.loads(str(data["meta"]))
    icon = {k: np.array([o in meta["sets"] for *_, o in meta[k]]) for k in ("mono", "colour")}
    mono = data["mono"][icon["mono"]]
    dark = [small(np.repeat(255 - m[..., None], 3, -1)) for m in np.array_split(mono, 64)]
    colour = []
    for part in np.array_split(data["colour"][icon["colour"]], 16):
        alpha = part[..., 3:].astype(np.float32) / 255
        shown = part[..., :3] * alpha + 255 * (1 - alpha)
        colour.append(small(shown.astype(np.uint8)))
    return torch.cat(dark + colour)


def nearest(query: Tensor, labels: np.ndarray, gallery: Tensor, gallery_labels: Tensor,
            num_known: int) -> dict:
    """Accuracies of the nearest neighbour by L2, and AUROC of the distance to the nearest picture
    of a known class."""
    distance = torch.cdist(query, gallery)
    known, in_known = labels < num_known, gallery_labels < num_known
    value, index = distance[:, in_known].min(1)
    right28 = gallery_labels[in_known][index].numpy() == labels
    right40 = gallery_labels[distance.argmin(1)].numpy() == labels
    return {
        "nn_acc28": right28[known].mean(),
        "nn_acc40": right40.mean(),
        "nn_auroc": roc_auc_score(known, -value.numpy()),
    }


def neighbours(query: Tensor, gallery: Tensor) -> np.ndarray:
    """Mean absolute difference of each query to the most similar picture of the gallery."""
    found = []
    for part in query.split(64):
        index = torch.cdist(part, gallery).topk(CANDIDATES, largest=False).indices
        found.append((gallery[index] - part[:, None]).abs().mean(-1).amin(1))
    return torch.cat(found).numpy()


def seen(style: str, data: dict, pixels: dict, pool: Tensor) -> dict:
    """Figures of a style, in percent: the nearest-neighbour baseline against the (other) source
    styles, and the shares of near-duplicates and of concepts seen in them."""
    gallery = [s for s in SOURCES if s != style]
    labels = torch.from_numpy(np.concatenate([data[s]["labels"] for s in gallery]))
    vectors = torch.cat([pixels[s] for s in gallery])
    own = data[style]["labels"]
    drawn = {c for s in gallery for c in data[s]["concepts"]}
    facts = nearest(pixels[style], own, vectors, labels, NUM_KNOWN)
    facts = {k: percent(v) for k, v in facts.items()}
    facts["near_duplicates"] = percent((neighbours(pixels[style], vectors) < ALIKE).mean())
    facts["concepts_seen"] = percent(np.mean([c in drawn for c in data[style]["concepts"]]))
    if style not in SOURCES:
        facts["near_duplicates_pool"] = percent((neighbours(pixels[style], pool) < ALIKE).mean())
    return facts


def pool_facts(path: str) -> dict:
    """Numbers of pictures in the pre-training pool, and its icon sets."""
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


def main() -> None:
    data, pool = read_archive(), pool_pixels(sys.argv[1])
    pixels = {s: small(d["images"]) for s, d in data.items()}
    styles = {}
    for style in data:
        styles[style] = seen(style, data, pixels, pool)
        print(style, styles[style], flush=True)
    result = {"styles": styles, "pool": pool_facts(sys.argv[1])}
    Path(sys.argv[2]).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
