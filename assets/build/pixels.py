"""Nearest neighbours in 16 x 16 pixels: the trivial baseline of the model card, and duplicates."""

import json

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

SIDE = 16
CANDIDATES = 5  # nearest by L2, among which the smallest mean absolute difference is looked for


def small(images: np.ndarray) -> Tensor:
    """uint8 (n, size, size, 3) -> (n, SIDE * SIDE * 3) in [0, 1], averaged over blocks."""
    n, size = images.shape[:2]
    block = size // SIDE
    parts = np.array_split(images, max(n // 4096, 1))
    means = [p.reshape(len(p), SIDE, block, SIDE, block, 3).mean((2, 4), dtype=np.float32)
             for p in parts]
    return torch.from_numpy(np.concatenate(means)).flatten(1) / 255


def pool_pixels(path: str) -> Tensor:
    """`small` of the icons of a pre-training pool, black or as drawn, on white; emoji left out."""
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
    """Accuracies of the nearest neighbour by L2, and AUROC of the distance to the known gallery."""
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
