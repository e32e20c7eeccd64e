"""Evaluations of a run on other domains count only while the run has the same weights."""

import pytest
from test_tables import record

from ueo.errors import ConfigError
from ueo.grids.grid_settings import GridSettings, PlannedRun
from ueo.images.hashes import content_hash
from ueo.inputs import CHECKPOINT
from ueo.results.record import RESULT, read_result, write_run
from ueo.runs.checkpoint import BEST, MODEL
from ueo.studies import elsewhere


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """(the evaluation of a run on domain b, as planned by `plan_elsewhere`; the run's folder; the
    record's folder). Any evaluation fails."""
    monkeypatch.setattr(elsewhere, "execute", lambda settings, todo, entry: ["failed"] * len(todo))
    monkeypatch.setattr(elsewhere, "_up_to_date", lambda settings, records, known: all(
        map(read_result, records)))
    monkeypatch.setattr(elsewhere, "remove_consoles", lambda folders: None)
    run = tmp_path / "run"
    (run / MODEL).mkdir(parents=True)
    weights = run / MODEL / BEST
    weights.write_bytes(b"first")
    write_run(run, record("New", "a", 1, 50.0, evaluations=[]), {})
    there = run / "robust/b/alpha1"
    there.mkdir(parents=True)
    write_run(there, record("New", "b", 1, 60.0, evaluations=[]) | {
        "inputs": {CHECKPOINT: content_hash(weights)}}, {})
    asked = elsewhere.ElsewhereSettings(str(run), (1.0,), domain=("b",),
                                        output_dir=str(run / "robust"))
    return {PlannedRun(asked, run / "robust", "New", None, "", {}): [there]}, run, there


def test_a_record_of_the_current_weights_stays(planned):
    tests, run, there = planned
    assert elsewhere.execute_left(GridSettings(), tests) == []
    assert elsewhere.execute_left(GridSettings(tables_only=True), tests) == []
    assert read_result(there)


@pytest.mark.parametrize("retrained", [True, False])
def test_a_record_of_replaced_weights_does_not_count(planned, retrained):
    """The run was trained again, and its evaluation fails; or its training has not finished."""
    tests, run, there = planned
    (run / MODEL / BEST).write_bytes(b"second")
    if not retrained:
        (run / RESULT).unlink()
    with pytest.raises(ConfigError, match="was evaluated before .* was trained again"):
        elsewhere.execute_left(GridSettings(tables_only=True), tests)
    assert read_result(there)
    assert elsewhere.execute_left(GridSettings(), tests) == ["failed"] * retrained
    assert read_result(there) is None
