"""Make assets/icon_pool.zip, a pool of image-text pairs: named icons. A maintainer's tool.

    python assets/build/icon_pool.py FOLDER_OF_TARBALLS

The icons are a seeded sample of each of SETS, icon sets of the package packages.POOL_PACKAGE, drawn
on white. An icon's text is its name without style words. The tiny CLIP was pre-trained on all these
sets (LICENCES/PRETRAINING.md): the pool resembles its pre-training data, as a pool from the web
resembles CLIP's, and contains nothing new to the model. The same Pillow and resvg give the same
archive, byte for byte.
"""

import hashlib
import json
import random
import sys
import tarfile
import zipfile
from pathlib import Path

from artwork import on_white, render, svg, tarball
from class_words import words_of
from emoji import ASSETS, STAMP, webp
from packages import POOL_PACKAGE

SETS = ("flat-color-icons", "icon-park", "lucide", "mdi", "meteocons", "ph", "tabler")
PER_SET, SEED = 450, 2023
TOP = "icon_pool"
LICENCES = ("Apache-2.0", "ISC", "MIT")


def sample(icon_set: dict, prefix: str) -> dict[str, str]:
    """icon -> text, for up to PER_SET icons with different texts, sorted by icon."""
    names = sorted(n for n, icon in icon_set["icons"].items() if not icon.get("hidden"))
    random.Random(f"{SEED}-{prefix}").shuffle(names)
    texts = {}
    for name in names:
        text = " ".join(words_of(name))
        if text and text not in texts.values() and len(texts) < PER_SET:
            texts[name] = text
    return dict(sorted(texts.items()))


def build(folder: Path) -> dict[str, bytes]:
    """The content of every file of the archive, by path."""
    files, rows = {}, []
    with tarfile.open(tarball(folder, *POOL_PACKAGE)) as archive:
        info = json.loads(archive.extractfile("package/collections.json").read())
        for prefix in SETS:
            icon_set = json.loads(archive.extractfile(f"package/json/{prefix}.json").read())
            texts = sample(icon_set, prefix)
            for name, text in texts.items():
                picture = render(svg(icon_set, name))
                files[f"{TOP}/{prefix}/{name}.webp"] = webp(on_white(picture))
                files[f"{TOP}/{prefix}/{name}.txt"] = f"{text}\n".encode()
            about = info[prefix]
            rows.append(f"| {about['name']} (`{prefix}`) | {about['author']['name']} | "
                        f"{about['license']['spdx']} | {len(texts)} |")
            print(rows[-1])
    files[f"{TOP}/LICENCES/ATTRIBUTION.md"] = attribution(rows).encode()
    for name in LICENCES:  # without .txt, which marks the text of a pair
        files[f"{TOP}/LICENCES/{name}"] = licence(name, [info[p] for p in SETS]).encode()
    return files


def licence(name: str, sets: list[dict]) -> str:
    """The text of a licence, with copyright lines for those of the sets that have this licence."""
    text = (ASSETS / "LICENCES" / f"{name}.txt").read_text()
    if name == "Apache-2.0":  # its text names no copyright holder
        return text
    holders = [f"{s['name']}: Copyright (c) {s['author']['name']}" for s in sets
               if s["license"]["spdx"] == name]
    title = text.splitlines()[0]
    return "\n".join([title, "", *holders, "", text[text.index("Permission"):]])


def attribution(rows: list[str]) -> str:
    """The text of ATTRIBUTION.md: the author and licence of each icon set."""
    package = "{} {}".format(*POOL_PACKAGE)
    return (
        f"# Icons of the pool\n\nRendered from the SVG files of {package} at 64 x 64 pixels, in "
        "black where an icon has no\ncolour of its own, and put on white. Licences as stated by "
        "that package; their texts stand beside\nthis file.\n\n"
        "| set | author | licence | icons |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    archive = ASSETS / "icon_pool.zip"
    files = build(Path(sys.argv[1]))
    with zipfile.ZipFile(archive, "w") as output:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, STAMP)
            info.external_attr = 0o644 << 16
            output.writestr(info, files[name])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (ASSETS / "icon_pool.zip.sha256").write_text(f"{digest}  {archive.name}\n")
    print(f"{archive.name}: {len(files)} files, {archive.stat().st_size / 1e6:.2f} MB, {digest}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main()
