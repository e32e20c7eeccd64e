"""Whether a record's numbers follow from the outputs beside it."""

import math
from pathlib import Path

from ueo import metrics
from ueo.errors import DataError
from ueo.results.record import AGAIN, NEEDED, OUTPUTS, RESULT, read_outputs

ROUNDING = 1e-4  # points, of other versions of the libraries


def check_outputs(folder: str | Path, result: dict) -> None:
    """Raise DataError, naming the file, where outputs.npz is missing, damaged, of other images than
    result.json counts, or gives other metrics of the test set than stand there."""
    outputs, file = read_outputs(folder), Path(folder, OUTPUTS)
    images, counted = len(outputs["test_labels"]), result["counts"]["test"]
    if images != counted:
        raise DataError(f"{file}: holds {images} test images, {RESULT} counts {counted}; {AGAIN}")
    labels, predictions, scores = (outputs[name] for name in NEEDED[:3])
    try:
        found = metrics.evaluate(labels, predictions, scores, result["counts"]["known_classes"])
    except FloatingPointError as error:
        raise DataError(f"{file}: {error}; {AGAIN}") from error
    found["accuracy"] = found.pop("gacc")
    for name, value in found.items():
        recorded = result["metrics"]["test"].get(name)
        if not _same(value, recorded):
            percent = metrics.percent(value)
            raise DataError(
                f"{file}: gives {name} {_words(percent)} of the test set, {RESULT} says "
                f"{_words(recorded)}; {AGAIN}"
            )


def _same(value: float | None, percent: float | None) -> bool:
    if value is None or percent is None:
        return value is percent
    return math.isclose(100 * value, percent, abs_tol=ROUNDING)


def _words(percent: float | None) -> str:
    return "not defined" if percent is None else f"{percent:.4f}"
