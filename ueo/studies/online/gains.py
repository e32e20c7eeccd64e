"""What the study found, from records alone: gains over zero-shot CLIP in the same stream, and what
a stream does to a method."""

from ueo.errors import DataError
from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.record import read_result
from ueo.studies.bench.gains import finished, measured, row
from ueo.studies.online.runs import AXES, TABLE, USUAL, Runs


def found(runs: Runs) -> dict[str, list[dict]]:
    """{"table": the usual stream, all models together; "models": each; "streams": with "axis" and
    "value", over zero-shot CLIP; "changes": alike, a method over itself in the usual stream}. Rows
    are as `bench.gains.row` gives them; of what is not finished there is none.

    Raises DataError for a record without detection."""
    _check(runs)
    table = runs[TABLE]
    models = dict.fromkeys(model for model, _, _ in table)
    axes = [(axis, value) for axis, of in AXES.items() for value in of]
    return {
        "table": measured(table),
        "models": [each for model in models
                   for each in measured({p: of for p, of in table.items() if p[0] == model})],
        "streams": [{"axis": axis, "value": value} | each
                    for axis, value in axes for each in measured(runs[axis, value])],
        "changes": [{"axis": axis, "value": value} | each
                    for axis, value in axes if value != USUAL[axis]
                    for each in _changes(runs, axis, value)],
    }


def _changes(runs: Runs, axis: str, value: str) -> list[dict]:
    usual, rows = runs[axis, USUAL[axis]], []
    for place, of_method in runs[axis, value].items():
        model, group, method = place
        pair = [finished(run.folder for run in part) for part in (of_method, usual[place])]
        if method != ZERO_SHOT and all(pair):
            rows.append(row(group, method, {model: tuple(pair)}))
    return rows


def _check(runs: Runs) -> None:
    for reported in runs.values():
        for run in (run for of_method in reported.values() for run in of_method):
            result = read_result(run.folder)
            if result and result["metrics"]["test"]["auroc"] is None:
                raise DataError(f"{run.folder}: has no AUROC, because the images have no labels or "
                                "none is unknown; the study measures detection")
