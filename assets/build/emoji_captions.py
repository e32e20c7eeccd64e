"""Make assets/emoji_captions.jsonl from assets/emoji.zip: the artwork's own names and keywords.

    python assets/build/emoji_captions.py

Every image of every style has one line with two captions: its name with keywords, and its keywords
alone. Neither is worded like the class prompt. A caption has no more tokens than the texts of the
tiny CLIP's pre-training (captions.LENGTH). A concept has the same captions in all styles.
"""

import json
import zipfile
from pathlib import Path

from archive import ASSETS
from captions import LENGTH
from clip.clip import _tokenizer

KEYWORDS = 4  # most keywords of a caption
AROUND = 2  # the start and end tokens


def fits(text: str) -> bool:
    """Whether a caption has no more tokens than the tiny CLIP learnt."""
    return len(_tokenizer.encode(text)) <= LENGTH - AROUND


def listed(words: list[str]) -> str:
    """The first word and those of the next KEYWORDS words that fit, joined by commas."""
    kept = words[:1]
    for word in words[1 : 1 + KEYWORDS]:
        if fits(", ".join([*kept, word])):
            kept.append(word)
    return ", ".join(kept)


def captions(concept: dict) -> list[str]:
    """Captions of a concept of emoji.zip: its name with keywords, then any keywords alone."""
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
