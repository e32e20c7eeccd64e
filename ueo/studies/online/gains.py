"""Compute the study's results from records: gains over zero-shot CLIP in the same stream, and the
effect of the stream on each method."""

from ueo.errors import DataError
from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.record import read_result
from ueo.studies.bench.gains import finished, measured, row
from ueo.studies.online.runs import AXES, TABLE, USUAL, Runs


def found(runs: Runs) -> dict[str, list[dict]]:
    """Return lists of rows as of `bench.gains.row`, for finished runs. "table": the usual stream,
    all models together. "models": the same for each model. "streams": gains over zero-shot CLIP,
    with "axis" and "value". "changes": the same over the method itself in the usual stream.

    Raise DataError for a record without detection metrics."""
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
        "changes": [each for axis in AXES for each in _changes(runs, axis)],
    }


def _changes(runs: Runs, axis: str) -> list[dict]:
    usual = {place: finished(run.folder for run in of_method)
             for place, of_method in runs[axis, USUAL[axis]].items() if place[2] != ZERO_SHOT}
    rows = []
    for value in (value for value in AXES[axis] if value != USUAL[axis]):
        for place, base in usual.items():
            (model, group, method), of_method = place, runs[axis, value][place]
            if base and (own := finished(run.folder for run in of_method)):
                rows.append({"axis": axis, "value": value}
                            | row(group, method, {model: (own, base)}))
    return rows


def _check(runs: Runs) -> None:
    for reported in runs.values():
        for run in (run for of_method in reported.values() for run in of_method):
            result = read_result(run.folder)
            if result and result["metrics"]["test"]["auroc"] is None:
                raise DataError(f"{run.folder}: has no AUROC, because the images have no labels or "
                                "none is unknown; the study measures detection")
