"""The embedded ViT: its towers are open_clip's, and it knows its classes."""

import pytest
from conftest import REPOSITORY, read

from ueo.clip.backbones import available_backbones, load_clip, preprocessing
from ueo.commands import train
from ueo.errors import CheckpointError

CONFIGS = REPOSITORY / "configs"
pytest.importorskip("open_clip")


def test_tiny_vit_is_an_open_clip_vit_for_64_pixels():
    backbone = load_clip("TinyViT", "fp32")
    assert "TinyViT" in available_backbones()
    assert type(backbone.visual).__module__.startswith("open_clip")
    assert preprocessing("TinyViT").size == (64, 64)
    norms = backbone.affine_parameters()
    assert len(norms) == 2 * (2 * 6 + 2) and sum(p.numel() for p in norms.values()) == 28 * 128


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny_vit")
    status = train.main([
        "--root", str(folder / "data"), "--trainer", "UEO", "--device", "cpu",
        "--dataset-config-file", str(CONFIGS / "datasets/emoji.yaml"),
        "--config-file", str(CONFIGS / "trainers/UEO/tiny_vit.yaml"), "--backbone", "TinyViT",
        "--domain", "fluent_flat", "--setting", "closed", "--seed", "1",
        "--output-dir", str(folder / "run"), "OPTIM.MAX_EPOCH", "1",
    ])
    assert status == 0
    return folder / "run"


def test_tiny_vit_is_far_above_chance(run):
    before = read(run)["evaluations"][0]["test"]
    assert before["pacc"] > 25  # chance is 3.6
    assert before["auroc"] > 55


def test_tiny_vit_refuses_other_weights(tmp_path, monkeypatch):
    monkeypatch.setattr("ueo.clip.towers.open_clip_files.weights_file",
                        lambda name: REPOSITORY / "assets" / "tiny_clip.safetensors")
    monkeypatch.setattr("ueo.clip.towers.open_clip_files.fetch",
                        lambda name: REPOSITORY / "assets" / "tiny_clip.safetensors")
    with pytest.raises(CheckpointError, match="TinyViT"):
        load_clip("TinyViT", "fp32")
