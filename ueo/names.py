"""Match names in people's spellings: exactly first, then loosely where that is unambiguous.

Exactly: equal in Unicode's composed form (NFC), because file systems store "é" in two forms.
Loosely: case, spaces and separators are ignored too. "Real World", "RealWorld" and "real_world" are
then one name; "C", "C++" and "C#" are three.
"""

import difflib
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ueo.errors import DataError

SEPARATORS = frozenset("./\\:;,'’\"()[]")  # besides white space, dashes and underscores
MOST = 6  # names in a message


def normal(name: str) -> str:
    """Return the composed form (NFC) of a name, for exact comparison."""
    return unicodedata.normalize("NFC", name)


@lru_cache(maxsize=1 << 14)
def loose(name: str) -> str:
    """Return the form for loose comparison, "Real_World" -> "realworld"; never "" for a name."""
    folded = normal(normal(name).casefold())
    kept = "".join(
        c
        for c in folded
        if not (c.isspace() or c in SEPARATORS or unicodedata.category(c) in ("Pd", "Pc"))
    )
    return kept or folded


def as_clip_reads(name: str) -> str:
    """Return a class name as CLIP reads it: in lower case, "_" as a space."""
    return " ".join(normal(name).casefold().replace("_", " ").split())


def listed(names: Sequence[str], most: int = 20) -> str:
    """Join the first `most` names for a message, with "..." if there are more."""
    return ", ".join([*names[:most], *["..."] * (len(names) > most)])


def meanings(name: str, spellings: Iterable[tuple[str, str]]) -> list[str]:
    """Return the meanings of `name` among pairs (spelling, meaning): those that match exactly, else
    those that match loosely; without duplicates."""
    pairs = list(spellings)
    exact = [meaning for spelling, meaning in pairs if normal(spelling) == normal(name)]
    resembling = (meaning for spelling, meaning in pairs if loose(spelling) == loose(name))
    return list(dict.fromkeys(exact or resembling))


def match(known: Sequence[str], given: Sequence[str], where: str
          ) -> tuple[dict[str, int], list[str]]:
    """Return ({given name: position of the known name it matches}, given names without a match).

    Raises DataError, which begins with `where`, if two given names match one known name or one
    given name matches two known ones.
    """
    exactly = {normal(name): i for i, name in enumerate(known)}
    loosely = defaultdict(list)
    for i, name in enumerate(known):
        loosely[loose(name)].append(i)
    ids, unknown, taken = {}, [], {}
    for name in sorted(given, key=lambda name: normal(name) not in exactly):  # exact ones first
        position = exactly.get(normal(name))
        found = loosely.get(loose(name), []) if position is None else [position]
        if len(found) > 1:
            raise DataError(
                f"{where}: {name!r} may be {known[found[0]]!r} or {known[found[1]]!r}; spell it "
                "as one of them"
            )
        if not found:
            unknown.append(name)
        elif found[0] in taken:
            raise DataError(
                f"{where}: {taken[found[0]]!r} and {name!r} are one name, {known[found[0]]!r}, in "
                "two spellings; rename or remove one"
            )
        else:
            ids[name] = found[0]
            taken[found[0]] = name
    order = {name: i for i, name in enumerate(given)}
    return ids, sorted(unknown, key=order.get)


def closest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the known name that is spelt most like `name`, or None if none is close."""
    lowered, asked = {normal(k).lower(): k for k in known}, normal(name).lower()
    longer = [k for k in lowered if k.startswith(asked)]
    found = difflib.get_close_matches(asked, list(lowered), n=1, cutoff=cutoff)
    mistyped = found and difflib.SequenceMatcher(None, asked, found[0]).ratio() > 0.9
    if len(longer) == 1 and len(asked) > 2 and not mistyped:  # the beginning of one name alone
        return lowered[longer[0]]
    return lowered[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'X'?" for the known name closest to `name`, or "" if none is close."""
    found = closest(name, known)
    return f"; did you mean {found!r}?" if found else ""


def enumeration(names: Sequence[str]) -> str:
    """List the first names in quotes, and count the rest."""
    shown = ", ".join(map(repr, names[:MOST]))
    return shown + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
