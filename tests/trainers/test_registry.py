"""Every registered trainer runs on both kinds of tower: adding a trainer adds its test."""

import numpy as np
import pytest
from conftest import read, trainer_names
from dassl.engine import TRAINER_REGISTRY

from ueo.results.paper import style
from ueo.results.paper.scores import draw
from ueo.results.record import read_outputs, read_threshold

# an untrained model, one that is trained, one that is adapted without steps
SAVED = [("ZeroshotCLIP", "rn"), ("UEO", "rn"), ("TipAdapter", "rn")]
RUNS = [(trainer, kind) for trainer in trainer_names() for kind in ("rn", "vit")]


@pytest.mark.parametrize("trainer, kind", [
    pytest.param(*run, marks=[pytest.mark.draws] * (run in SAVED)) for run in RUNS])
def test_a_run_ends_in_a_complete_record(toy, trainer, kind):
    labelled = TRAINER_REGISTRY.get(trainer).uses_labels
    options = ("DATASET.NUM_SHOTS", "3") if labelled else ()
    status, folder = toy("run", *options, trainer=trainer, kind=kind)
    assert status == 0
    result = read(folder)
    for part in ("test", "unlabelled"):
        assert 0 <= result["metrics"][part]["pacc"] <= 100
        assert 0 <= result["metrics"][part]["auroc"] <= 100
    outputs = read_outputs(folder)
    assert len(outputs["test_scores_after"]) == result["counts"]["test"]
    assert np.isfinite(outputs["test_scores_after"]).all()
    picture = folder / "scores.png"
    assert picture.is_file() and ((trainer, kind) in SAVED) == (picture.stat().st_size > 1000)
    if kind == "rn":  # a picture knows no tower
        with style.styled():
            figure = draw(result, outputs, read_threshold(folder))
        assert all(axis.has_data() for axis in figure.axes)
