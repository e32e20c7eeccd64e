"""Make assets/emoji_captions.jsonl from assets/emoji.zip: the artwork's own names and keywords.

    python assets/build/emoji_captions.py

One line an image, for every style; two captions each, neither worded like the class prompt: the
name with keywords, and the keywords alone. A caption ends where the tiny CLIP learnt no further
tokens (captions.LENGTH). Drawings of one concept have the same captions in all styles.
"""

import json
import zipfile
from pathlib import Path

from archive import ASSETS
from captions import LENGTH
from clip.clip import _tokenizer

KEYWORDS = 4  # at most, in each caption
AROUND = 2  # start and end of text


def fits(text: str) -> bool:
    """Whether the tiny CLIP reads a caption to its end."""
    return len(_tokenizer.encode(text)) <= LENGTH - AROUND


def listed(words: list[str]) -> str:
    """As many of the words as fit, the first one always, joined by commas."""
    kept = words[:1]
    for word in words[1 : 1 + KEYWORDS]:
        if fits(", ".join([*kept, word])):
            kept.append(word)
    return ", ".join(kept)


def captions(concept: dict) -> list[str]:
    """Captions of a concept of emoji.zip: its name first, and its keywords alone if it has any."""
    label = concept["label"].lower()
    keywords = [word.lower() for word in concept["keywords"] if word.lower() != label]
    new = [word for word in keywords if word not in label]
    texts = [listed([label, *new])]
    return texts + [listed(keywords)] if keywords else texts


def main() -> None:
    with zipfile.ZipFile(ASSETS / "emoji.zip") as archive:
        concepts = json.loads(archive.read("emoji/concepts.json"))
        names = sorted(n.removeprefix("emoji/") for n in archive.namelist() if n.endswith(".webp"))
    lines = [
        json.dumps({"image": name, "captions": captions(concepts[Path(name).stem])},
                   ensure_ascii=False)
        for name in names
    ]
    output = ASSETS / "emoji_captions.jsonl"
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{output.name}: {len(lines)} images, {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
