"""predictions.csv: a model's prediction of each image, one per line; skipped.csv: the files without
a prediction, and why."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ueo.files import atomic_path
from ueo.images.decoding import HEIC
from ueo.images.folders import FOLDER
from ueo.text import csv_cell

PREDICTIONS, SKIPPED = "predictions.csv", "skipped.csv"
COLUMNS = ("image", "class", "probability", "score", "known", "runner_up",
           "runner_up_probability", "class_before")
SKIPPED_COLUMNS = ("file", "reason", "detail")
OTHER = "its name is not that of an image that can be read"
HELP = {**dict.fromkeys(HEIC, "pip install 'ueo-toolbox[heic]' reads it"),
        FOLDER: "--recursive reads it"}
DIGITS = 6  # of probabilities and scores


@dataclass(frozen=True)
class Prediction:
    """The prediction of one image, by class names.

    probability: the model's own softmax over the known classes, which is not calibrated. known:
    whether the score reaches the threshold; False is "none of these". runner_up: None if there is
    only one class. before: the class predicted before adaptation; None if that was not asked for.
    """

    image: str
    name: str
    probability: float
    score: float
    known: bool
    runner_up: str | None
    runner_up_probability: float | None
    before: str | None

    def row(self) -> list[str]:
        """Return the line of the file, harmless to a spreadsheet."""
        second = self.runner_up_probability
        cells = [
            self.image, self.name, f"{self.probability:.{DIGITS}g}", f"{self.score:.{DIGITS}g}",
            "yes" if self.known else "no", self.runner_up or "",
            "" if second is None else f"{second:.{DIGITS}g}", self.before or "",
        ]
        return [csv_cell(cell) for cell in cells]


def predictions_of(
    images: Iterable[str],
    probabilities: np.ndarray,
    scores: np.ndarray,
    threshold: float | None,
    names: list[str],
    before: np.ndarray | None = None,
) -> Iterator[Prediction]:
    """Yield a prediction per image. probabilities: (images, K); scores: (images,); threshold: None
    if all are known; names: the K known classes; before: (images,), class ids."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return of_leading(images, order, np.take_along_axis(probabilities, order, 1), scores, threshold,
                      names, before)


def of_leading(
    images: Iterable[str], classes: np.ndarray, probabilities: np.ndarray, scores: np.ndarray,
    threshold: float | None, names: list[str], before: np.ndarray | None = None,
) -> Iterator[Prediction]:
    """As `predictions_of`, from the two most probable classes of each image. classes (ids),
    probabilities: (images, 2), or (images, 1) if there is only one class."""
    for i, image in enumerate(images):
        (first, probability), *second = zip(classes[i], probabilities[i])
        yield Prediction(
            image=str(image),
            name=names[first],
            probability=float(probability),
            score=float(scores[i]),
            known=threshold is None or bool(scores[i] >= threshold),
            runner_up=names[second[0][0]] if second else None,
            runner_up_probability=float(second[0][1]) if second else None,
            before=None if before is None else names[before[i]],
        )


def write_predictions(path: str | Path, predictions: Iterable[Prediction]) -> None:
    """Write the file, whole or not at all."""
    _write(path, COLUMNS, (prediction.row() for prediction in predictions))


def write_skipped(path: str | Path, skipped: Iterable[tuple[str, str, str]]) -> None:
    """Write the file, whole or not at all. skipped: (file, short reason, further detail)."""
    _write(path, SKIPPED_COLUMNS, (map(csv_cell, row) for row in skipped))


def _write(path: str | Path, columns: tuple[str, ...], rows: Iterable) -> None:
    with atomic_path(path) as temporary:
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(chain([columns], rows))


def is_predictions(path: str | Path) -> bool:
    """Whether a file is empty or begins as a file of predictions does."""
    start = ",".join(COLUMNS).encode()
    with open(path, "rb") as file:
        return file.read(len(start)) in (b"", start)


def skipped_reasons(path: str | Path) -> Counter:
    """Count the files in skipped.csv by reason; empty if there is no such file, or another."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return Counter(row["reason"] for row in csv.DictReader(file))
    except (OSError, KeyError, ValueError, csv.Error):
        return Counter()


def not_read(dataset) -> list[tuple[str, str, str]]:
    """Return the files of a data set that were not read, for `write_skipped`: damaged images, then
    files whose names are not those of images."""
    damaged = [(path, *parted(why)) for path, why in dataset.skipped.items()]
    others = [(path, kind, why_not_read(kind))
              for path, kind in sorted(dataset.unread.paths.items())]
    return [(os.path.relpath(path, dataset.root), *why) for path, *why in (*damaged, *others)]


def why_not_read(kind: str) -> str:
    """Return the detail for a file of this kind, a value of `Unread.paths`."""
    return HELP.get(kind, OTHER)


def parted(why: str) -> tuple[str, str]:
    """"damaged image (truncated)" -> ("damaged image", "truncated")."""
    reason, _, detail = why.partition(" (")
    return reason, detail.removesuffix(")")
