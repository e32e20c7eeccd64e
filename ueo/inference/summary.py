"""A summary of many predictions in a few sentences; they are counted one by one."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ueo.errors import DataError, unread
from ueo.results.predictions import COLUMNS
from ueo.runs.checkpoint import chosen_threshold
from ueo.scores import OF_SOFTMAX

MOST = 10  # classes in a summary
UNCERTAIN = 1.0  # separation below which the two groups of scores overlap (docs/thresholds.md)


@dataclass
class Tally:
    """Counts of predictions.

    classes: known images, by predicted class; compared: images with a prediction before
    adaptation; changed: those of them with another class now; skipped: files without a prediction,
    by reason.
    """

    classes: Counter = field(default_factory=Counter)
    unknown: int = 0
    compared: int = 0
    changed: int = 0
    skipped: Counter = field(default_factory=Counter)

    @property
    def images(self) -> int:
        return self.classes.total() + self.unknown

    def count(self, name: str, known: bool, before: str | None) -> None:
        """Count one image by predicted class, whether it is known, and class before adaptation."""
        if known:
            self.classes[name] += 1
        else:
            self.unknown += 1
        if before:
            self.compared += 1
            self.changed += before != name


def tally_file(path: str | Path) -> Tally:
    """Count a file of predictions (predictions.csv), line by line. Raises DataError for a file that
    is missing or has another form, as a spreadsheet may save it."""
    found = Tally()
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
                raise ValueError("other columns")
            for row in rows:
                found.count(row["class"], row["known"] == "yes", row["class_before"])
    except (OSError, KeyError, ValueError, csv.Error) as error:
        why = unread(path, error, "a program saved it in another form, or it is damaged")
        raise DataError(f"{why}; --overwrite makes it again") from error
    return found


def summary(found: Tally) -> list[str]:
    """Images read and skipped; images of each class and of none; what adaptation changed."""
    lines = [f"Images: {found.images:,} read{_skipped(found.skipped)}."]
    if not found.images:
        return lines
    parts = [f"{name} {number:,}" for name, number in _by_number(found.classes)[:MOST]]
    if rest := _by_number(found.classes)[MOST:]:
        number = sum(number for _, number in rest)
        parts.append(f"{len(rest)} more class{'es' * (len(rest) > 1)} {number:,}")
    share = 100 * found.unknown / found.images
    lines.append(f"Classes: {', '.join(parts) or 'none'}; none of these: {found.unknown:,} "
                 f"({share:.0f} %).")
    if found.compared:
        lines.append(f"Changed: {found.changed:,} of {found.compared:,} images have another class "
                     "than before adaptation.")
    return lines


def verdict(rule: str, threshold: float | None, separation: float) -> str:
    """Say where the threshold between known and unknown is and how far it can be trusted.

    rule: how it was chosen; threshold: None if every image counts as known; separation: of the
    scores that it was chosen from, by `open_set.separation`.
    """
    if threshold is None:
        return "Threshold: none; every image counts as known."
    line = f"Threshold: an image counts as known if its score is at least {threshold:.4g} ({rule})."
    if separation == 0:
        return line + (" The scores of the images adapted to form a single group, so they do not "
                       "support any threshold: verdicts are a guess.")
    if separation < UNCERTAIN:
        return line + (f" The scores of known and unknown images overlap (separation "
                       f"{separation:.2f}, below {UNCERTAIN:g}): verdicts are uncertain.")
    return line + (f" The scores form two groups (separation {separation:.2f}); that the lower one "
                   "is of unknown classes is an assumption.")


def verdict_of(facts: dict) -> str:
    """Return the `verdict` on the facts of a model (model.json), or that all scores are equal."""
    if len(facts["class_names"]) == 1 and facts["score"] in OF_SOFTMAX:
        return (f"There is only one class name, {facts['class_names'][0]!r}: its probability and "
                f"the score {facts['score']} are the same for every image, so nothing can be told "
                "apart. Add names, also of things that are not wanted.")
    return verdict(facts["rule"], chosen_threshold(facts), facts["separation"])


def _skipped(reasons: Counter) -> str:
    if not reasons:
        return ""
    words = ", ".join(f"{reason} {number:,}" for reason, number in _by_number(reasons))
    return f", {reasons.total():,} skipped ({words})"


def _by_number(counts: Counter) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
