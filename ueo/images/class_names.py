"""Read class names from a file, check them, and match them with the classes of the images, which
are folders or the labels of a list."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ueo.errors import DataError
from ueo.images.folders import Unread
from ueo.images.lists import NO_LABEL, Row, class_id, is_number, text_lines
from ueo.names import MOST, as_clip_reads, closest, did_you_mean, enumeration, match

LONGEST = 300  # characters; CLIP reads 77 tokens of a prompt
ALIKE = 0.65  # similarity from which two spellings may mean one name
INVISIBLE = frozenset("\u00ad\u200b\u2060\ufeff")  # from copied text; CLIP reads them
COMPARED = 50  # only so many unknown classes, because comparing all pairs is slow


def read_names(path: Path) -> list[str]:
    """Read class names, one a line, in the order of ids. Raises DataError for an empty file, a
    comment, or a name that `check_names` rejects."""
    lines = [(f"{path}, line {n}", line.strip(" \t")) for n, line in enumerate(text_lines(path), 1)]
    named = [(where, name) for where, name in lines if name]
    if not named:
        raise DataError(f"{path}: holds no class name")
    for where, name in named:
        if name.startswith("#"):
            raise DataError(f"{where}: {name!r} would be a class; a file of names has no comments, "
                            "remove the line or the #")
    check_names(named)
    return [name for _, name in named]


def check_names(named: Iterable[tuple[str, str]]) -> None:
    """Check class names for use in prompts. named: (origin of the name for messages, name).

    Raises DataError for a name that holds a control character, one of INVISIBLE or bytes that are
    not UTF-8, is very long, or that CLIP reads like an earlier one.
    """
    seen = {}
    for where, name in named:
        if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in INVISIBLE for c in name):
            raise DataError(
                f"{where}: the class name {name!r} holds a control character, an invisible "
                "one or bytes that are not UTF-8; remove them"
            )
        if len(name) > LONGEST:
            raise DataError(
                f"{where}: a class name of {len(name)} characters, {name[:20]!r}...; CLIP reads 77 "
                f"tokens of a prompt, shorten it to {LONGEST} characters at most"
            )
        first = seen.setdefault(as_clip_reads(name), (where, name))
        if first != (where, name):
            raise DataError(
                f"{where}: the class name {name!r} is listed twice, first as {first[1]!r} "
                f"({first[0]}); CLIP cannot tell them apart, rename or remove one"
            )


def class_ids(rows: list[Row], names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the class id of each row, and the names of the unknown classes, whose ids follow.

    Labels are class names if the first is no number, else ids. The unknown classes are the labels
    that occur from len(names) on, or outside `names`. Raises DataError for a label of another kind
    than the first, for ids that count from 1, for a number that is the name of another class, and
    if no label is among `names`.
    """
    if rows[0].label is None:
        return [NO_LABEL] * len(rows), []
    if is_number(rows[0].label):
        labels = [class_id(row) for row in rows]
        _refuse_numbers_as_names(rows, labels, names)
        _refuse_counting_from_one(rows[0].where, labels, len(names))
        if min(labels) >= len(names):
            raise DataError(
                f"{rows[0].where.rpartition(', line ')[0]}: no label is one of the {len(names)} "
                f"classes, ids 0 to {len(names) - 1}; the least is {min(labels)}"
            )
        others = sorted({label for label in labels if label >= len(names)})
        ids = {label: len(names) + i for i, label in enumerate(others)}
        return [ids.get(label, label) for label in labels], [f"unknown_{i}" for i in others]
    words = list(dict.fromkeys(row.label for row in rows))
    where = rows[0].where.rpartition(", line ")[0]
    for row in rows:
        if is_number(row.label) and row.label not in names:
            raise DataError(
                f"{row.where}: the label {row.label} is a number, that of the first line the name "
                f"{rows[0].label!r}; use one kind of label"
            )
    ids, others = match(names, words, where)
    if not ids:
        raise DataError(
            f"{where}: no label is one of the {len(names)} class names, first label "
            f"{words[0]!r}{did_you_mean(words[0], names)}"
        )
    ids |= {name: len(names) + i for i, name in enumerate(others)}
    return [ids[row.label] for row in rows], others


def _refuse_numbers_as_names(rows: list[Row], labels: list[int], names: Sequence[str]) -> None:
    """Raise DataError for a label that is the id of one class and the name of another."""
    ids = {name: i for i, name in enumerate(names)}
    for row, label in zip(rows, labels):
        if ids.get(row.label, label) != label:
            raise DataError(
                f"{row.where}: the label {row.label} is a class id, but also the name of the class "
                f"with the id {ids[row.label]}; spell the names in words, or order them by number"
            )


def _refuse_counting_from_one(where: str, labels: list[int], known: int) -> None:
    used = set(labels)
    if 0 not in used and (max(used) == known or used.issuperset(range(1, known + 1))):
        raise DataError(
            f"{where.rpartition(', line ')[0]}: no label is 0 and one is {known}, the number of "
            "names; labels count from 0, subtract 1 from each (if class 0 has no image, label the "
            f"unknown class {max(used) + 1})"
        )


def matched(known: Sequence[str], unknown: Sequence[str], present: set[str]) -> dict:
    """Compare class names with the classes of the images, for a record.

    known, unknown: names of the known classes and of the images' other classes.
    present: names of the classes with images.

    Returns "with_images": number of known classes with images; "without_images": names of the
    others; "unknown": as given; "misspelt": {unknown class: similar known name without images}.
    """
    without = [name for name in known if name not in present]
    near = {name: closest(name, without, ALIKE) for name in unknown[:COMPARED]} if without else {}
    return {
        "with_images": len(known) - len(without),
        "without_images": without,
        "unknown": list(unknown),
        "misspelt": {name: meant for name, meant in near.items() if meant},
    }


def summary(found: dict) -> list[str]:
    """Return the result of `matched` as sentences, a warning last."""
    total = found["with_images"] + len(found["without_images"])
    parts = [f"{found['with_images']} of {total} known classes have images"]
    if found["without_images"]:
        parts.append(f"without: {enumeration(found['without_images'])}")
    if found["unknown"]:
        parts.append(f"unknown classes: {enumeration(found['unknown'])}")
    lines = ["; ".join(parts) + "."]
    if found["misspelt"]:
        pairs = [f"{name!r} (did you mean {meant!r}?)" for name, meant in found["misspelt"].items()]
        more = f" and {len(pairs) - MOST} more" if len(pairs) > MOST else ""
        lines.append(
            f"Warning: {len(pairs)} unknown class{'es are' if len(pairs) > 1 else ' is'} spelt "
            f"nearly like a known one without images: {', '.join(pairs[:MOST])}{more}; what is "
            "unknown counts as out-of-distribution, so correct the names or the folders if they "
            "are the same."
        )
    return lines


def doubts(results: list[dict]) -> list[str]:
    """Return sentences for a table of these records: the files that were ignored, and each domain
    that lacks images of a known class."""
    unread = Unread()
    for ignored in {r["domain"]: r["ignored"] for r in results if "ignored" in r}.values():
        unread.add(Unread(Counter(ignored["files"]), ignored["folders"]))
    lines = [
        f"{r['domain']}: {' '.join(summary(r['names']))}"
        for r in results if (r.get("names") or {}).get("without_images")
    ]
    return [f"Ignored: {unread}."] * bool(unread) + list(dict.fromkeys(lines))
