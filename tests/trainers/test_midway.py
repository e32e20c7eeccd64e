"""Midway: its predictions, the weight of the adapted model, and a saved run."""

import numpy as np
import pytest
import torch
from conftest import read

import ueo
from ueo.results.record import read_outputs

FAST = ("OPTIM.LR", "0.5")


def cosines(trainer) -> torch.Tensor:
    return trainer.passes.unlabelled_cosines()


def test_midway_predicts_by_the_mean_of_both_models_cosines(build):
    trainer = build(*FAST, trainer="Midway")
    trainer.before_train()
    frozen = cosines(trainer)
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    for batch in trainer.train_loader_x:
        trainer.forward_backward(batch)
    adapted = cosines(trainer)
    assert (adapted - frozen).abs().max() > 1e-3
    for share in (0.0, 0.3, 1.0):
        trainer.model.adapter.share.fill_(share)
        expected = (1 - share) * frozen + share * adapted
        torch.testing.assert_close(cosines(trainer), expected, atol=1e-5, rtol=0)
        features = trainer.passes.image_features(trainer.unlabelled_loader, "unlabelled")
        torch.testing.assert_close(features.norm(dim=1), torch.ones(len(features)))
    trainer.model.adapter.share.fill_(0.3)
    before = [p.clone() for group in trainer.groups.values() for p in group.values()]
    cosines(trainer)
    after = [p for group in trainer.groups.values() for p in group.values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after))  # weights are swapped back


def test_midway_weighs_the_adapted_model_by_the_share_of_changed_predictions(toy):
    options = (*FAST, "TRAINER.Midway.STRENGTH")
    _, whole = toy("whole", *options, "1e9", trainer="Midway", epochs=1)  # the adapted one alone
    _, none = toy("none", *options, "0.0", trainer="Midway", epochs=1)  # the frozen one alone
    _, some = toy("some", *options, "0.5", trainer="Midway", epochs=1)
    outputs = read_outputs(whole)
    changed = np.mean(outputs["unlabelled_predictions_before"]
                      != outputs["unlabelled_predictions_after"])
    assert 0 < changed
    for folder, share in ((whole, 1.0), (none, 0.0), (some, 0.5 * changed)):
        notes = read(folder)["notes"]["midway"]
        assert notes["changed_predictions"] == pytest.approx(changed)
        assert notes["share_of_adapted"] == pytest.approx(share)
    outputs = read_outputs(none)
    np.testing.assert_array_equal(outputs["test_predictions_after"],
                                  outputs["test_predictions_before"])


def test_a_loaded_midway_run_predicts_the_same(toy, toy_root):
    _, folder = toy("run", *FAST, trainer="Midway", epochs=1)
    outputs = read_outputs(folder)
    paths = [f"{toy_root}/toy/{path}" for path in outputs["test_paths"]]
    found = list(ueo.load(folder, "cpu").predict(paths, batch_size=5, before=False))
    np.testing.assert_allclose([p.score for p in found], outputs["test_scores_after"], atol=1e-6)


def test_scores_against_names_are_refused(toy, capsys):
    status, _ = toy("run", "TRAINER.Midway.SCORE", "neglabel", trainer="Midway")
    assert status == 2 and "TRAINER.Midway.SCORE" in capsys.readouterr().err
    kept = ("TEST.KEEP_OUTPUTS", "True", "TEST.KEEP_NEGATIVES", "True")
    status, _ = toy("run", *kept, trainer="Midway")
    error = capsys.readouterr().err
    assert status == 2 and "Midway has no score against names" in error and error.count("\n") == 1
