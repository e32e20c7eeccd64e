"""Reference numbers, published ones or an earlier run's, to compare with measured ones.

They come from a CSV file with the columns COLUMNS. `value` is in percent, and empty if unknown;
`domain` may be "mean"; an empty `backbone` means any.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from ueo import text
from ueo.errors import DataError, unread
from ueo.label_space import SETTINGS
from ueo.names import loose, meanings
from ueo.results.tables import METRICS
from ueo.results.wording import signed

COLUMNS = ("dataset", "backbone", "domain", "label_space", "method", "metric", "value",
           "tolerance", "source")
NEEDED = COLUMNS[:-2]
TOLERANCE = 0.05  # points, what rounding to one decimal hides


@dataclass(frozen=True)
class Row:
    """One number. place: (dataset, backbone, domain, label space, method, metric)."""

    place: tuple[str, ...]
    value: float
    tolerance: float
    source: str


def read_reference(path: str | Path) -> list[Row]:
    """Read the rows with a value. Raises DataError, with the line, for a file of another form."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [c for c in NEEDED if c not in (table.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path}: the column {missing[0]!r} is missing; the first line names "
                    f"{','.join(COLUMNS)}"
                )
            lines = [(f"{path}, line {table.line_num}", line) for line in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(unread(path, error, "it is no CSV file")) from error
    rows, seen = [], {}
    for where, line in lines:
        place = _place(where, line)
        if place in seen:
            raise DataError(f"{where}: repeats {' '.join(filter(None, place))} of {seen[place]}")
        seen[place] = where.rpartition(", ")[2]
        if (line["value"] or "").strip():
            rows.append(Row(
                place, _number(where, "value", line["value"], 100),
                _number(where, "tolerance", line.get("tolerance") or str(TOLERANCE), math.inf),
                (line.get("source") or "").strip(),
            ))
    return rows


def _place(where: str, line: dict) -> tuple[str, ...]:
    place = tuple((line[c] or "").strip() for c in NEEDED[:-1])
    for column, known in (("label_space", SETTINGS), ("metric", METRICS)):
        if line[column] not in known:
            raise DataError(
                f"{where}: {column} {line[column]!r} is unknown; known: {', '.join(known)}"
            )
    return place


def _number(where: str, column: str, words: str, highest: float) -> float:
    try:
        value = float(words)
    except ValueError:
        value = math.nan
    if not 0 <= value <= highest or math.isinf(value):
        raise DataError(f"{where}: {column} {words!r} is not a number from 0 to {highest}")
    return value


def measured(summary: dict, row: Row) -> float | None:
    """Return the mean in `summary` that `row` refers to; None if it is missing."""
    _, backbone, domain, setting, method, metric = row.place
    if not is_about(summary, row) or backbone not in ("", summary["backbone"]):
        return None
    for entry in summary["rows"]:
        if (entry["setting"], entry["method"]) == (setting, method):
            for name in meanings(domain, ((n, n) for n in entry["values"])):
                values = entry["values"][name]
                if values and values[metric]:
                    return values[metric]["mean"]
    return None


def is_about(summary: dict, row: Row) -> bool:
    """Whether a row names the data set of a summary, in whatever spelling."""
    names = {loose(summary["title"]), loose(summary["dataset"]).removeprefix("uft")}
    return loose(row.place[0]) in names


def beside(summary: dict, rows: list[Row], style: str = "simple") -> str:
    """Return a table of measured and published numbers, and how many rows have no run."""
    table, without = [], 0
    write = text.WRITERS[style]
    for row in filter(lambda row: is_about(summary, row), rows):
        value = measured(summary, row)
        if value is None:
            without += 1
        else:
            _, _, domain, setting, method, metric = row.place
            table.append([setting, write(method), write(domain), metric, f"{value:.1f}",
                          f"{row.value:.1f}", signed(value - row.value, 1), write(row.source)])
    headers = ["label space", "method", "domain", "metric", "measured", "published", "difference",
               "source"]
    lines = [tabulate(table, headers, tablefmt=style, disable_numparse=True)] if table else []
    return "\n\n".join([*lines, f"{len(table)} published numbers have a run, {without} have none."])


def compare(summaries: list[dict], rows: list[Row], path: str) -> list[str]:
    """Return a line for each row without a run and each that differs by more than its tolerance.

    Raises DataError if no row has a value: nothing would be compared.
    """
    if not rows:
        raise DataError(f"{path}: no row has a value, there is nothing to compare with")
    differences = []
    for row in rows:
        where = " ".join(filter(None, row.place))
        found = [v for s in summaries if (v := measured(s, row)) is not None]
        if not found:
            differences.append(f"{where}: expected {row.value:g}, there is no such number")
        elif abs(found[0] - row.value) > row.tolerance:
            differences.append(
                f"{where}: expected {row.value:g} within {row.tolerance:g}, measured {found[0]:.4f}"
            )
    return differences
