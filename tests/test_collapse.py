"""Entropy alone collapses to a few classes under shift; the marginal term of UEO prevents it."""

import pytest
from conftest import REPOSITORY, read

from ueo.commands import train

CONFIGS = REPOSITORY / "configs"


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """{method: test metrics after one epoch at a high rate on emoji in scenes}; None: before."""
    folder = tmp_path_factory.mktemp("collapse")
    found = {}
    for trainer in ("EntMin", "UEO"):
        status = train.main([
            "--root", str(folder / "data"), "--trainer", trainer, "--device", "cpu",
            "--dataset-config-file", str(CONFIGS / "datasets/emoji_shift.yaml"),
            "--config-file", str(CONFIGS / "trainers/UEO/tiny_clip.yaml"),
            "--domain", "fluent+scene2", "--setting", "open_partial", "--seed", "1",
            "--output-dir", str(folder / trainer), "OPTIM.MAX_EPOCH", "1", "OPTIM.LR", "0.1",
        ])
        assert status == 0
        record = read(folder / trainer)
        found[trainer] = record["metrics"]["test"]
        found[None] = record["evaluations"][0]["test"]
    return found


def test_entropy_alone_collapses(metrics):
    assert metrics["EntMin"]["classes_predicted"] < 10
    assert metrics["EntMin"]["pacc"] < metrics[None]["pacc"] / 2


def test_ueo_keeps_its_classes_and_gains_at_the_same_rate(metrics):
    assert metrics["UEO"]["classes_predicted"] > 20  # of 28 that are known
    assert metrics["UEO"]["pacc"] > metrics[None]["pacc"] + 3
