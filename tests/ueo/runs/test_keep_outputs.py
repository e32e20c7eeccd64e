"""Kept outputs of a run: every score can be computed later and equals the run's own."""

import numpy as np
import pytest
import torch

from ueo.errors import DataError
from ueo.results.kept_outputs import FEATURES, read_kept, write_kept
from ueo.scores import AGAINST_NAMES, ALL_SCORES, Score, mcm
from ueo.studies import scored_runs

KEEP = ("TEST.KEEP_OUTPUTS", "True")


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_scores_of_kept_outputs_equal_those_of_the_record(toy, kind):
    status, folder = toy("run", *KEEP, kind=kind)
    assert status == 0
    outputs = np.load(folder / "outputs.npz")
    for when in ("before", "after"):
        run = scored_runs.read_run(folder, when)
        assert set(run.scores) == set(ALL_SCORES) - {"sigmoid", *AGAINST_NAMES}  # no SigLIP
        np.testing.assert_allclose(run.scores["mcm"], outputs[f"test_scores_{when}"], atol=1e-6)
        kept = read_kept(folder, when)
        np.testing.assert_allclose(
            kept["features"] @ kept["class_features"].T, kept["cosines"], atol=1e-5
        )
        np.testing.assert_array_equal(kept["cosines"].argmax(1), run.predictions)
        np.testing.assert_array_equal(
            (kept["train_features"] @ kept["class_features"].T).argmax(1), kept["train_labels"]
        )
        # released protocol: train_features are of unlabelled images, with predicted labels
        np.testing.assert_array_equal(
            kept["train_labels"], outputs[f"unlabelled_predictions_{when}"]
        )
    measured = scored_runs.measure(run)
    recorded = run.result["metrics"]["test"]
    for name in ("accuracy", "pacc", "auroc", "fpr95", "aupr", "hm", "auroc_seen"):
        assert measured["mcm"][name] == pytest.approx(recorded[name], abs=1e-3)
    assert 0 <= measured["knn"]["hos"] <= 100
    low, high = scored_runs.measure_intervals(run, "mcm", resamples=100)["auroc"]
    assert 0 <= low <= measured["mcm"]["auroc"] <= high <= 100


def test_shots_are_kept_with_their_labels_and_features_of_a_frozen_tower_once(toy):
    status, folder = toy("run", *KEEP, "DATASET.NUM_SHOTS", "2", "TRAINER.CoOp.TUNE", "prompt",
                         trainer="CoOp")
    assert status == 0
    kept = read_kept(folder)
    known = scored_runs.read_run(folder).num_known
    assert sorted(kept["train_labels"]) == sorted([*range(known)] * 2)
    assert kept["train_features"].shape == (2 * known, kept["features"].shape[1])
    with np.load(folder / FEATURES) as file:
        assert "test_cosines_after" in file.files and "test_features_after" not in file.files


def test_a_method_with_a_prompt_for_each_image_has_no_local_score(toy):
    status, folder = toy("run", *KEEP, "DATASET.NUM_SHOTS", "1", trainer="CoCoOp", epochs=1)
    assert status == 0
    lacking = set(ALL_SCORES) - set(scored_runs.read_run(folder).scores)
    assert lacking == {"gl_mcm", "sigmoid", *AGAINST_NAMES}


def test_an_untrained_model_has_equal_scores_before_and_after(toy):
    status, folder = toy("run", *KEEP, trainer="ZeroshotCLIP")
    assert status == 0
    before, after = (scored_runs.read_run(folder, when).scores for when in ("before", "after"))
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_score_with_other_parameters_needs_no_run(toy):
    _, folder = toy("run", *KEEP, trainer="ZeroshotCLIP")
    sharp = Score(lambda cosines: mcm(cosines, 0.01))
    run = scored_runs.read_run(folder, scores={"sharp": sharp})
    cosines = torch.from_numpy(read_kept(folder)["cosines"]).double()
    np.testing.assert_allclose(run.scores["sharp"], (100 * cosines).softmax(1).amax(1), rtol=1e-9)


def test_keeping_outputs_changes_neither_results_nor_the_configuration(toy, capsys):
    _, plain = toy("plain")
    _, kept = toy("kept", *KEEP)
    a, b = (np.load(folder / "outputs.npz") for folder in (plain, kept))
    assert all(np.array_equal(a[name], b[name]) for name in a.files)
    with pytest.raises(DataError, match="TEST.KEEP_OUTPUTS True and --overwrite"):
        scored_runs.read_run(plain)
    status, _ = toy("kept")
    assert status == 0 and "Finished before" in capsys.readouterr().out
    status, _ = toy("plain", *KEEP)  # finished, but without the outputs
    assert status == 0 and (plain / FEATURES).is_file()


def test_damaged_outputs_and_a_missing_run_are_refused(toy, tmp_path):
    _, folder = toy("run", *KEEP, trainer="ZeroshotCLIP")
    whole = (folder / FEATURES).read_bytes()
    (folder / FEATURES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        read_kept(folder)
    write_kept(folder, {})  # as a run without the option does
    assert not (folder / FEATURES).exists()
    with pytest.raises(DataError, match="no finished run"):
        scored_runs.read_run(tmp_path)


def test_a_score_that_is_not_finite_is_named(toy):
    _, folder = toy("run", *KEEP, trainer="ZeroshotCLIP")
    with np.load(folder / FEATURES) as file:
        arrays = dict(file)
    arrays["test_cosines_before"][3, 1] = np.nan
    write_kept(folder, arrays)
    with pytest.raises(FloatingPointError, match="score mcm: 1 of 57 scores"):
        scored_runs.measure(scored_runs.read_run(folder))
    arrays["test_features_before"][0] = np.nan  # also a training image
    write_kept(folder, arrays)
    with pytest.raises(FloatingPointError, match="training images are not finite"):
        scored_runs.read_run(folder)
