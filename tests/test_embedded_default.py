"""The embedded default end to end: real images, the shipped tiny CLIP."""

import numpy as np
import pytest
from conftest import REPOSITORY, read

from ueo.commands import train
from ueo.results.record import read_outputs, version_of

CONFIGS = REPOSITORY / "configs"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emoji")

    def run(trainer, *options):
        output = folder / trainer
        status = train.main([
            "--root", str(folder / "data"), "--trainer", trainer, "--device", "cpu",
            "--dataset-config-file", str(CONFIGS / "datasets/emoji.yaml"),
            "--config-file", str(CONFIGS / "trainers/UEO/tiny_clip.yaml"),
            "--domain", "fluent_flat", "--setting", "open_partial", "--seed", "1",
            "--output-dir", str(output), *options,
        ])
        assert status == 0
        return output

    return {
        "ZeroshotCLIP": run("ZeroshotCLIP"),
        "UEO": run("UEO", "OPTIM.MAX_EPOCH", "1"),
    }


def test_the_tiny_clip_is_far_above_chance(runs):
    metrics = read(runs["ZeroshotCLIP"])["metrics"]["test"]
    assert metrics["pacc"] > 40  # chance is 3.6
    assert metrics["auroc"] > 60
    assert metrics["auroc_seen"] > 55 and metrics["auroc_unseen"] > 55


def test_ueo_starts_from_zero_shot_and_changes_scores(runs):
    zero, ueo = read(runs["ZeroshotCLIP"]), read(runs["UEO"])
    assert ueo["evaluations"][0] == zero["evaluations"][0]
    before, after = (read_outputs(runs["UEO"])[f"test_scores_{w}"] for w in ("before", "after"))
    assert not np.allclose(before, after)
    assert ueo["split_hash"] == zero["split_hash"]


def test_the_record_says_what_was_run(runs):
    record = read(runs["UEO"])
    assert record["config"]["OPTIM.MAX_EPOCH"] == 1 and record["seed"] == 1
    assert record["protocol"] == "released" and record["setting"] == "open_partial"
    assert record["counts"]["known_classes"] == 28
    packages = record["environment"]["packages"]
    assert record["environment"]["engine"] and packages["torch"]
    for tower in ("clip-anytorch", "open_clip_torch", "timm"):  # libraries of the models
        assert packages[tower] == version_of(tower)
    assert record["train_images_per_second"] > 0 and record["peak_memory_bytes"] > 1e7
