"""Read assets/emoji.zip for the maintainers' measurements."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from emoji_classes import NAMES
from PIL import Image

ASSETS = Path(__file__).resolve().parents[1]


def read_archive() -> dict[str, dict]:
    """style -> images (uint8, (n, SIZE, SIZE, 3)), labels, concepts, test (bool: test split)."""
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


def percent(value) -> float:
    """A share in percent, rounded to two decimals."""
    return round(100 * float(value), 2)
