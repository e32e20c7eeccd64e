"""Make assets/negative_words.txt.xz, candidates for negative names. A maintainer's tool.

    python assets/build/negative_words.py [FOLDER]

FOLDER holds WordNet 3.0's index.noun and index.adj. It defaults to /usr/share/wordnet, the folder
of Debian's package wordnet-base. Only single words of lower-case letters are kept. A word that is
both noun and adjective counts as a noun. WordNet's licence comes first; both input files have it at
their head. The same input files give the same output file, byte for byte.
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
FILES = {  # SHA-256 of WordNet 3.0's files
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "index.adj": "c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810",
}


def read(folder: Path, name: str) -> list[str]:
    """The lines of one of FILES. Exits if its hash differs."""
    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != FILES[name]:
        raise SystemExit(f"{folder / name}: is not that of Debian's wordnet-base, WordNet 3.0")
    return content.decode("ascii").splitlines()


def licence(lines: list[str]) -> str:
    """The licence at the head of a file, without line numbers."""
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
