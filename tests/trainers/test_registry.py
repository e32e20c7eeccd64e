"""Every registered trainer runs on both kinds of tower: adding a trainer adds its test."""

import numpy as np
import pytest
from conftest import read, trainer_names
from dassl.engine import TRAINER_REGISTRY


@pytest.mark.parametrize("kind", [pytest.param("rn", marks=pytest.mark.draws), "vit"])
@pytest.mark.parametrize("trainer", trainer_names())
def test_a_run_ends_in_a_complete_record(toy, trainer, kind):
    labelled = TRAINER_REGISTRY.get(trainer).uses_labels
    options = ("DATASET.NUM_SHOTS", "3") if labelled else ()
    status, folder = toy("run", *options, trainer=trainer, kind=kind)
    assert status == 0
    result = read(folder)
    for part in ("test", "unlabelled"):
        assert 0 <= result["metrics"][part]["pacc"] <= 100
        assert 0 <= result["metrics"][part]["auroc"] <= 100
    outputs = np.load(folder / "outputs.npz")
    assert len(outputs["test_scores_after"]) == result["counts"]["test"]
    assert np.isfinite(outputs["test_scores_after"]).all()
    picture = folder / "scores.png"  # it knows no tower, so that of one is drawn
    assert picture.is_file() and (kind == "vit" or picture.stat().st_size > 1000)
