"""Make assets/emoji.zip, the emoji data set, from npm packages. A maintainer's tool.

    python assets/build/emoji.py FOLDER_OF_TARBALLS

packages.SETS lists the packages and versions; `npm pack NAME@VERSION` fetches a package. The same
packages, Pillow and resvg give the same archive, byte for byte.
"""

import hashlib
import io
import json
import random
import sys
import zipfile
from collections import Counter
from pathlib import Path

from artwork import load_style, on_white, read_emoji
from emoji_classes import NAMES, class_of
from packages import SETS

ASSETS = Path(__file__).resolve().parents[1]
PER_CLASS = 45  # most concepts of a class
TEST_SHARE = 0.3
SEED = 2023
LICENCES = ("ATTRIBUTION.md", "Apache-2.0.txt", "CC-BY-4.0.txt", "MIT.txt")
STAMP = (1980, 1, 1, 0, 0, 0)


def choose_concepts(emoji: list[dict], styles: dict) -> dict[str, dict]:
    """Concept slug -> emoji with its class, for emoji that at least two styles have. A class with
    more than PER_CLASS keeps those that the most styles have."""
    chosen, used = {}, set()
    for name in NAMES:
        members = [e for e in emoji if class_of(e["label"], e["subgroup"]) == name]
        drawn = {e["hexcode"]: sum(s.has(e) for s in styles.values()) for e in members}
        members = [e for e in members if drawn[e["hexcode"]] > 1]
        members.sort(key=lambda e: (-drawn[e["hexcode"]], e["order"]))
        for entry in members[:PER_CLASS]:
            slug = "_".join("".join(c if c.isalnum() else " " for c in entry["label"]).split())
            slug = slug.lower()
            if slug in used:
                slug = f"{slug}_{entry['hexcode'].lower()}"
            used.add(slug)
            chosen[slug] = {**entry, "class": name}
    return dict(sorted(chosen.items()))


def split(paths: list[str], style: str) -> dict[str, list[str]]:
    """A seeded 70/30 split within each class. A class with two images has one for testing."""
    parts = {"train": [], "test": []}
    for name in NAMES:
        members = sorted(p for p in paths if Path(p).parts[1] == name)
        random.Random(f"{SEED}-{style}-{name}").shuffle(members)
        count = max(round(TEST_SHARE * len(members)), 1) if len(members) > 1 else 0
        parts["test"] += members[:count]
        parts["train"] += members[count:]
    return {part: sorted(members) for part, members in parts.items()}


def webp(image) -> bytes:
    """The image as a lossless WebP file."""
    buffer = io.BytesIO()
    image.save(buffer, "webp", lossless=True, quality=100, method=6)
    return buffer.getvalue()


def build(folder: Path) -> dict[str, bytes]:
    """The content of every file of the archive, by path."""
    styles = {style: load_style(folder, style) for style in SETS}
    concepts = choose_concepts(read_emoji(folder), styles)
    files, splits = {}, {}
    for style, drawings in styles.items():
        paths = []
        for slug, entry in concepts.items():
            if drawings.has(entry):
                path = f"{style}/{entry['class']}/{slug}.webp"
                files[f"emoji/images/{path}"] = webp(on_white(drawings.picture(entry)))
                paths.append(path)
        splits[style] = split(paths, style)
        sizes = Counter(Path(p).parts[1] for p in paths)
        print(f"{style}: {len(paths)} images, {len(sizes)} classes, "
              f"{min(sizes.values())} to {max(sizes.values())} a class")
    files["emoji/classes.txt"] = ("\n".join(NAMES) + "\n").encode()
    files["emoji/splits.json"] = json.dumps(splits, indent=0).encode()
    files["emoji/concepts.json"] = json.dumps(
        {
            slug: {
                "class": e["class"],
                "label": e["label"],
                "keywords": e.get("tags", []),
                "codepoints": e["hexcode"],
            }
            for slug, e in concepts.items()
        },
        indent=0,
        ensure_ascii=False,
    ).encode()
    for name in LICENCES:
        files[f"emoji/LICENCES/{name}"] = (ASSETS / "LICENCES" / name).read_bytes()
    return files


def main() -> None:
    archive = ASSETS / "emoji.zip"
    files = build(Path(sys.argv[1]))
    with zipfile.ZipFile(archive, "w") as output:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = zipfile.ZIP_DEFLATED if not name.endswith(".webp") else 0
            info.external_attr = 0o644 << 16
            output.writestr(info, files[name])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (ASSETS / "emoji.zip.sha256").write_text(f"{digest}  emoji.zip\n")
    print(f"{archive.name}: {len(files)} files, {archive.stat().st_size / 1e6:.1f} MB, {digest}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main()
