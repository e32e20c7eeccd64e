"""Render the pre-training pool of the tiny CLIP: named, permissively licensed icons. Not shipped.

    python assets/build/icons.py FOLDER_OF_TARBALLS pool.npz

The pool has icons of the package packages.POOL_PACKAGE and all emoji of the source styles. Sets
from the same artwork as a target style, share-alike and copyleft sets, logos and flags are left
out. The caption of an icon is its name. If the name matches a class of the emoji data set
(class_words.py), the icon has that class, too.
"""

import json
import random
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
from artwork import IconStyle, read_emoji, render, svg, tarball
from class_words import class_of_name, words_of
from emoji_classes import NAMES, class_of
from packages import POOL_PACKAGE, SIZE, SOURCES

LICENCES = {
    "Apache-2.0", "MIT", "ISC", "CC0-1.0", "CC-BY-4.0", "CC-BY-3.0", "BSD-3-Clause", "Unlicense",
}
# add_emoji adds the source styles
LEFT_OUT = ("fluent", "noto", "emojione", "openmoji", "twemoji", "fxemoji")
CATEGORIES_LEFT_OUT = {"Logos", "Programming"}
PREFIXES_LEFT_OUT = {"flag", "circle-flags", "flagpack", "cif", "svg-spinners", "gis", "ginetex"}
PER_SET, VARIANTS, SEED = 2500, 2, 2023
BRANDS = ("-brands", "-logo")


def chosen_sets(folder: Path) -> dict[str, dict]:
    """prefix -> collection info, for the icon sets of the pool."""
    path = tarball(folder, *POOL_PACKAGE)
    with tarfile.open(path) as archive:
        info = json.loads(archive.extractfile("package/collections.json").read())
    return {
        prefix: c
        for prefix, c in sorted(info.items())
        if c["license"].get("spdx") in LICENCES
        and c.get("category") not in CATEGORIES_LEFT_OUT
        and prefix not in PREFIXES_LEFT_OUT
        and not prefix.startswith(LEFT_OUT)
        and not prefix.endswith(BRANDS)
    }


def choose_icons(icon_set: dict, prefix: str) -> list[tuple[str, tuple[str, ...]]]:
    """Up to PER_SET pairs (icon, words of its name): icons with a class first, then a seeded sample
    of the others."""
    chosen, seen = [], Counter()
    names = sorted(n for n, i in icon_set["icons"].items() if not i.get("hidden"))
    random.Random(f"{SEED}-{prefix}").shuffle(names)
    for name in names:
        words = words_of(name)
        if words and seen[words] < VARIANTS:
            seen[words] += 1
            chosen.append((name, words))
    chosen.sort(key=lambda item: class_of_name(item[1]) is None)
    return chosen[:PER_SET]


def draw(icon_set: dict, name: str) -> np.ndarray | None:
    """The icon as uint8 RGBA (SIZE, SIZE, 4); None if it cannot be drawn or is empty."""
    try:
        pixels = np.asarray(render(svg(icon_set, name)), dtype=np.uint8)
    except Exception:  # resvg raises its own errors for the few icons with broken SVG
        return None
    return pixels if pixels[..., 3].mean() > 4 else None


class Pool:
    """Rendered pictures, in a one-colour and a many-colour group."""

    def __init__(self):
        self.mono, self.colour = [], []  # alpha (S, S); RGBA (S, S, 4)
        self.meta = {"mono": [], "colour": []}  # [caption, class or -1, set]

    def add(self, pixels: np.ndarray, caption: str, label: int, origin: str) -> None:
        shown = pixels[pixels[..., 3] > 128][:, :3]
        if len(shown) and shown.max() < 8:  # black only: drawn in currentColor
            self.mono.append(pixels[..., 3])
            self.meta["mono"].append([caption, label, origin])
        else:
            self.colour.append(pixels)
            self.meta["colour"].append([caption, label, origin])

    def save(self, path: str, sets: dict) -> None:
        np.savez(
            path,
            mono=np.stack(self.mono),
            colour=np.stack(self.colour),
            meta=json.dumps({**self.meta, "sets": sets}),
        )


def add_icons(pool: Pool, folder: Path) -> dict:
    """Add the chosen icon sets. Returns prefix -> [name, author, licence, number of icons]."""
    taken, sets = {}, chosen_sets(folder)
    with tarfile.open(tarball(folder, *POOL_PACKAGE)) as archive:
        for prefix, info in sets.items():
            icon_set = json.loads(archive.extractfile(f"package/json/{prefix}.json").read())
            count = 0
            for name, words in choose_icons(icon_set, prefix):
                pixels = draw(icon_set, name)
                if pixels is not None:
                    label = class_of_name(words)
                    pool.add(pixels, " ".join(words), -1 if label is None else NAMES.index(label),
                             prefix)
                    count += 1
            author, licence = info["author"]["name"], info["license"]["spdx"]
            taken[prefix] = [info["name"], author, licence, count]
            print(f"{prefix}: {count} of {info['total']}", flush=True)
    return taken


def add_emoji(pool: Pool, folder: Path) -> None:
    """Add every emoji of the source styles but flags, also those outside the 40 classes."""
    emoji = [e for e in read_emoji(folder) if "flag" not in e["subgroup"]]
    for style in SOURCES:
        drawings = IconStyle(folder, style)
        for entry in emoji:
            if drawings.has(entry):
                pixels = np.asarray(drawings.picture(entry), dtype=np.uint8)
                name = class_of(entry["label"], entry["subgroup"])
                label = -1 if name is None else NAMES.index(name)
                caption = entry["label"].lower() + "|" + "|".join(entry.get("tags", []))
                pool.add(pixels, caption, label, style)


def main() -> None:
    folder, output = Path(sys.argv[1]), sys.argv[2]
    pool = Pool()
    add_emoji(pool, folder)
    taken = add_icons(pool, folder)
    pool.save(output, taken)
    labelled = Counter(NAMES[m[1]] for part in pool.meta.values() for m in part if m[1] >= 0)
    print(f"{len(pool.mono)} one-colour, {len(pool.colour)} many-colour pictures of {SIZE} pixels")
    print(f"class named: {sum(labelled.values())}", dict(labelled))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main()
