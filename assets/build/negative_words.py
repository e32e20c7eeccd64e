"""Make assets/negative_words.txt.xz, words that may name no class. A maintainer's tool.

    python assets/build/negative_words.py [FOLDER]

FOLDER holds WordNet 3.0's index.noun and index.adj, /usr/share/wordnet unless given: that of
Debian's package wordnet-base. Kept are entries of lower-case letters alone, so of one word; what is
a noun too is no adjective. The licence, which the head of both files holds, comes first. The file
is the same to the byte whenever it is made from the same files.
"""

import hashlib
import lzma
import re
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[1]
ATTRIBUTION = """\
The words of negative_words.txt.xz are from WordNet 3.0 (https://wordnet.princeton.edu): its
nouns and adjectives that are one word of letters alone. Its licence:

"""
FILES = {  # SHA-256 of those of WordNet 3.0
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "index.adj": "c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810",
}


def read(folder: Path, name: str) -> list[str]:
    """Lines of one of FILES."""
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != FILES[name]:
        raise SystemExit(f"{folder / name}: is not that of Debian's wordnet-base, WordNet 3.0")
    return content.decode("ascii").splitlines()


def licence(lines: list[str]) -> str:
    """What stands at the head of a file, its numbers left out."""
    head = (line for line in lines if line.startswith("  "))
    return "".join(re.sub(r"^ +\d+ ?", "", line).rstrip() + "\n" for line in head)


def words(lines: list[str]) -> list[str]:
    entries = (line.split(" ")[0] for line in lines if not line.startswith("  "))
    return sorted({entry for entry in entries if re.fullmatch("[a-z]+", entry)})


def main(folder: Path) -> None:
    noun_lines, adjective_lines = read(folder, "index.noun"), read(folder, "index.adj")
    nouns, terms = words(noun_lines), licence(noun_lines)
    adjectives = sorted({*words(adjective_lines)} - {*nouns})
    head = "".join(f"# {line}".rstrip() + "\n" for line in terms.splitlines())
    text = head + "\n".join(nouns) + "\n\n" + "\n".join(adjectives) + "\n"
    packed = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    (ASSETS / "negative_words.txt.xz").write_bytes(packed)
    (ASSETS / "LICENCES" / "WordNet-3.0.txt").write_text(ATTRIBUTION + terms)
    print(f"{len(nouns):,} nouns, {len(adjectives):,} adjectives, {len(packed):,} bytes")


if __name__ == "__main__":
    main(Path(*sys.argv[1:] or ["/usr/share/wordnet"]))
