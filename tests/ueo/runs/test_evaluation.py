"""A run's evaluations: each image has its own cosines in every list, by the run's own model."""

import json
import shutil

import numpy as np
import pytest
import torch
from conftest import random_clip, read
from dassl.data.datasets import build_dataset
from safetensors.torch import save_file

from ueo.metrics import expected_calibration_error
from ueo.open_set import h_score
from ueo.results.check_outputs import check_outputs
from ueo.results.kept_outputs import read_kept
from ueo.scores import SCORES


@pytest.mark.parametrize("setting", ["partial", "open", "open_partial"])
@pytest.mark.parametrize("protocol", ["released", "independent"])
def test_cosines_are_in_the_order_of_their_list(build, setting, protocol):
    """Cosines of unlabelled images that are also test images are copied, not computed again."""
    trainer = build("DATASET.PROTOCOL", protocol, setting=setting, kind="vit")
    cosines = trainer.evaluations.run(epoch=0)
    lists = {"test": trainer.test_loader.dataset, "unlabelled": trainer.unlabelled_loader.dataset}
    for name, images in lists.items():
        assert len(cosines[name]) == len(images)
        for row in range(0, len(images), 5):
            pixels = trainer.test_loader.normalise(images[row]["img"][None])
            with torch.no_grad():
                own = trainer.model(pixels)[0]
            torch.testing.assert_close(cosines[name][row], own, atol=2e-6, rtol=0)


def test_fixtures_are_irregular(build):
    """No list is the beginning of another, so a wrong index cannot go unnoticed."""
    dataset = build_dataset(build(setting="open").cfg)
    unlabelled, test = ([i.impath for i in part] for part in (dataset.train_u, dataset.test))
    assert set(unlabelled) < set(test) and unlabelled != test[: len(unlabelled)]
    sizes = [sum(item.label == k for item in dataset.test) for k in range(6)]
    assert len(set(sizes)) == 6 and sizes != sorted(sizes) != sizes[::-1]


@pytest.mark.parametrize("part", [0, 1])
def test_the_hash_of_a_split_covers_both_lists(build, monkeypatch, part):
    """The hash changes with one unlabelled image or one test image less."""
    cfg = build(setting="open").cfg
    whole = build_dataset(cfg)
    released = type(whole).released

    def without_one(self, domain):
        lists = list(released(self, domain))
        lists[part] = lists[part][:3] + lists[part][4:]
        return lists

    monkeypatch.setattr(type(whole), "released", without_one)
    assert build_dataset(cfg).split_hash != whole.split_hash


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_shared_features_are_those_of_the_runs_backbone(toy, tmp_path, kind):
    """Two backbones of one architecture use the same store, one after the other."""
    other = tmp_path / "other.safetensors"
    save_file(random_clip(kind, seed=5).state_dict(), other)
    shared = ("DATASET.STORE", str(tmp_path / "store"))
    toy("first", *shared, kind=kind, trainer="ZeroshotCLIP")
    status, second = toy("second", *shared, "MODEL.BACKBONE.NAME", str(other), kind=kind,
                         trainer="ZeroshotCLIP")
    _, alone = toy("alone", "DATASET.STORE_GB", "0", "MODEL.BACKBONE.NAME", str(other), kind=kind,
                   trainer="ZeroshotCLIP")
    assert status == 0
    a, b = (np.load(folder / "outputs.npz")["test_scores_after"] for folder in (second, alone))
    np.testing.assert_array_equal(a, b)
    first = np.load(tmp_path / "first" / "outputs.npz")["test_scores_after"]
    assert (a != first).all(), "the backbones must differ for this test to mean anything"


def test_shared_features_are_those_of_the_runs_transform(toy, tmp_path):
    """A different interpolation gives different pixels of the same images."""
    shared = ("DATASET.STORE", str(tmp_path / "store"))
    toy("bicubic", *shared, kind="vit", trainer="ZeroshotCLIP")
    nearest = ("INPUT.INTERPOLATION", "nearest")
    _, second = toy("nearest", *shared, *nearest, kind="vit", trainer="ZeroshotCLIP")
    _, alone = toy("alone", "DATASET.STORE_GB", "0", *nearest, kind="vit", trainer="ZeroshotCLIP")
    a, b = (np.load(folder / "outputs.npz")["test_scores_after"] for folder in (second, alone))
    np.testing.assert_array_equal(a, b)


def test_shared_features_of_a_replaced_image_are_computed_again(
        toy, toy_root, tmp_path):
    root = shutil.copytree(toy_root, tmp_path / "root", ignore=shutil.ignore_patterns(".decoded"))
    shared = ("DATASET.STORE", str(tmp_path / "store"))
    toy("first", *shared, root=str(root), kind="vit", trainer="ZeroshotCLIP")
    image = root / "toy" / "red" / "mug" / "004.png"
    shutil.copy(root / "toy" / "red" / "guitar" / "002.png", image)
    _, second = toy("second", *shared, root=str(root), kind="vit", trainer="ZeroshotCLIP")
    first, second = (np.load(tmp_path / name / "outputs.npz") for name in ("first", "second"))
    changed = first["test_scores_after"] != second["test_scores_after"]
    assert second["test_paths"][changed].tolist() == ["red/mug/004.png"]


def test_features_of_a_tuned_model_are_not_shared(toy, tmp_path):
    """No other run has that model, so its features would only waste space."""
    shared = ("DATASET.STORE", str(tmp_path / "store"), "TRAINER.UEO.EVAL_FREQ", "1")
    toy("zero", *shared, kind="vit", trainer="ZeroshotCLIP")
    kept = sorted(path.name for path in (tmp_path / "store").glob("*.npz"))
    toy("tuned", *shared, "OPTIM.LR", "0.1", kind="vit", epochs=2)
    assert sorted(path.name for path in (tmp_path / "store").glob("*.npz")) == kept


@pytest.mark.parametrize("score", ["max_logit", "energy"])
def test_the_requested_score_is_measured(toy, score):
    _, folder = toy("run", "TRAINER.UEO.SCORE", score, "TEST.KEEP_OUTPUTS", "True", kind="vit",
                    epochs=1)
    cosines = torch.from_numpy(read_kept(folder)["cosines"])
    outputs = np.load(folder / "outputs.npz")
    np.testing.assert_allclose(outputs["test_scores_after"], SCORES[score](cosines), rtol=1e-6)


def test_the_record_counts_what_training_did(toy):
    _, folder = toy("run", "OPTIM.LR", "0.05", epochs=3, setting="open_partial")
    result, outputs = read(folder), np.load(folder / "outputs.npz")
    before, after = (outputs[f"test_predictions_{when}"] for when in ("before", "after"))
    changed = sum(a != b for a, b in zip(before, after))
    assert changed not in (0, len(after) / 2, len(after))
    assert result["changed_predictions"] == pytest.approx(100 * changed / len(after))
    images = 3 * result["counts"]["unlabelled"]
    assert result["train_images_per_second"] * result["train_seconds"] == pytest.approx(images)


def test_the_record_holds_the_h_score_of_its_threshold_and_the_calibration_error(toy):
    _, folder = toy("run", "OPTIM.LR", "0.05", "TEST.KEEP_OUTPUTS", "True", kind="vit", epochs=2)
    result, outputs, kept = read(folder), np.load(folder / "outputs.npz"), read_kept(folder)
    facts = json.loads((folder / "model.json").read_text())
    labels, known = outputs["test_labels"], result["counts"]["known_classes"]
    expected = h_score(labels, outputs["test_predictions_after"], outputs["test_scores_after"],
                       known, facts["thresholds"][facts["rule"]])
    assert result["threshold_rule"] == facts["rule"] == "otsu"
    found = result["metrics"]["test"]
    assert found["h_score"] == pytest.approx(100 * expected)
    logits = kept["logit_scale"] * kept["cosines"].astype(float)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    confidences = (shares / shares.sum(1, keepdims=True)).max(1)
    np.testing.assert_allclose(outputs["test_confidences_after"], confidences, rtol=1e-5)
    at = labels < known
    right = (labels == outputs["test_predictions_after"])[at]
    ece = expected_calibration_error(right, confidences[at])
    assert found["ece"] == pytest.approx(100 * ece, abs=1e-3)
    check_outputs(folder, result)
    trained = {**found}
    del trained["h_score"]  # uses the threshold of the finished run
    assert result["evaluations"][-1]["test"] == trained
