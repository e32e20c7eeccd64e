"""Every trainer on one of open_clip's kinds of towers: training, resuming, prediction, export."""

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import SHUFFLED, TOY_PLUGIN, killed_in_epoch, read, trainer_names
from dassl.engine import TRAINER_REGISTRY
from small_towers import KINDS, LEARNT_BIAS, PREPROCESSING, SIZES

import ueo
from ueo.clip.backbones import load_clip
from ueo.commands import export
from ueo.inference.onnx_export import missing_packages
from ueo.results.record import read_outputs
from ueo.settings.preprocessing import Preprocessing

IN_TURN = [(name, KINDS[number % len(KINDS)]) for number, name in enumerate(trainer_names())]

pytestmark = pytest.mark.usefixtures("pretended_transformers")


@pytest.fixture
def on(toy, small_backbones):
    """Run the toy job on a small open_clip model: on(kind, name, *options, **arguments)."""
    def run(kind: str, name: str = "run", *options: str, **arguments):
        trainer = TRAINER_REGISTRY.get(arguments.get("trainer", "UEO"))
        shots = ("DATASET.NUM_SHOTS", "2") if trainer.uses_labels else ()
        return toy(name, *shots, *options, backbone=small_backbones(kind),
                   **{"epochs": 1, **arguments})

    return run


@pytest.mark.parametrize("trainer,kind", IN_TURN)
def test_every_trainer_trains_and_evaluates(on, trainer, kind):
    status, folder = on(kind, trainer=trainer)
    assert status == 0
    result, outputs = read(folder), np.load(folder / "outputs.npz")
    assert np.isfinite(outputs["test_scores_after"]).all()
    assert 0 <= result["metrics"]["test"]["pacc"] <= 100
    expected = {"size": SIZES.get(kind, 32), **PREPROCESSING.get(kind, {})}
    for key, value in Preprocessing.of_open_clip(expected).keys().items():
        assert result["config"][key] == (list(value) if isinstance(value, tuple) else value)


def test_options_override_the_models_own_preprocessing(on, capsys):
    asked = ("INPUT.RESIZE_MODE", "shortest", "INPUT.PIXEL_MEAN", "[0.1, 0.2, 0.3]")
    status, folder = on("siglip", "run", *asked, trainer="ZeroshotCLIP")
    said, config = capsys.readouterr().out, read(folder)["config"]
    assert status == 0 and config["INPUT.RESIZE_MODE"] == "shortest"
    assert config["INPUT.PIXEL_MEAN"] == [0.1, 0.2, 0.3] and config["INPUT.PIXEL_STD"] == [0.5] * 3
    assert "INPUT.RESIZE_MODE shortest: open_clip:local-dir:" in said
    assert "was trained with squash" in said and "INPUT.PIXEL_STD" not in said
    assert on("siglip", "other", "INPUT.SIZE", "(64, 64)")[0] == 2
    assert "INPUT.SIZE: (64, 64) does not fit open_clip:local-dir:" in capsys.readouterr().err


@pytest.mark.parametrize("trainer,kind,options", [
    ("UEO", "siglip", ()),
    ("EntMin", "mobileclip", ("TRAINER.EntMin.BATCH_STATS", "True")),
])
def test_permuted_labels_change_nothing(on, tmp_path, trainer, kind, options):
    plugin = tmp_path / "shuffled_toy.py"
    plugin.write_text(SHUFFLED)
    _, plain = on(kind, "plain", *options, trainer=trainer)
    status, permuted = on(kind, "permuted", "DATASET.NAME", "ShuffledToy", *options,
                          trainer=trainer, plugins=[str(plugin)])
    assert status == 0
    a, b = (np.load(f / "outputs.npz") for f in (plain, permuted))
    assert (a["test_labels"] != b["test_labels"]).any()
    np.testing.assert_array_equal(a["test_scores_after"], b["test_scores_after"])


@pytest.mark.parametrize("trainer,kind", [("UEO", "siglip"), ("FLYP", "mobileclip")])
def test_a_resumed_run_ends_in_the_same_numbers(on, trainer, kind, monkeypatch):
    _, unbroken = on(kind, "unbroken", trainer=trainer, epochs=2)
    trainer_class = TRAINER_REGISTRY.get(trainer)
    with killed_in_epoch(trainer_class):
        assert on(kind, "resumed", trainer=trainer, epochs=2)[0] == 130
    status, resumed = on(kind, "resumed", trainer=trainer, epochs=2)
    assert status == 0 and read(resumed)["resumed_from_epoch"] == 1
    a, b = (np.load(f / "outputs.npz") for f in (unbroken, resumed))
    np.testing.assert_array_equal(a["test_scores_after"], b["test_scores_after"])
    assert (a["test_scores_after"] != a["test_scores_before"]).any()


@pytest.mark.parametrize("kind,options", [
    ("vit", ()), ("eva", ("TRAINER.UEO.TUNE", "model")),
    ("siglip", ("TRAINER.UEO.ENSEMBLE", "2", "TRAINER.UEO.CTX_INIT", "")),
])
def test_further_parts_can_be_tuned(on, kind, options):
    status, folder = on(kind, "run", *options)
    assert status == 0 and read(folder)["counts"]["tuned_parameters"] > 0


def test_a_visual_prompt_is_refused_by_the_towers_name(on, capsys):
    assert on("siglip", "run", "TRAINER.UEO.TUNE", "visual_prompt")[0] == 2
    assert "this backbone's image tower is a TimmModel (VisionTransformer)" in (
        capsys.readouterr().err)


def test_local_scores_are_left_out_if_the_tower_has_no_local_features(on, capsys):
    kept = ("TEST.KEEP_OUTPUTS", "True")
    for kind, there in (("vit", True), ("siglip", False)):
        _, folder = on(kind, kind, *kept)
        assert ("test_local_score_after" in np.load(folder / "features.npz")) == there
        assert ("no GL-MCM: the image tower is a TimmModel" in capsys.readouterr().out) != there


def answers(model, paths: list[str]) -> list[tuple]:
    return [(p.name, p.probability, p.score, p.known) for p in model.predict(paths, before=False)]


@pytest.mark.parametrize("trainer,kind", [
    ("UEO", "siglip"), ("UEO", "resnet"), ("CoCoOp", "mobileclip"), ("CLIPAdapter", "convnext"),
])
def test_an_export_predicts_bit_for_bit_without_the_weights(
    on, toy_root, tmp_path, trainer, kind, small_backbones
):
    _, run = on(kind, trainer=trainer)
    paths = [f"{toy_root}/toy/{path}" for path in read_outputs(run)["test_paths"][:6]]
    expected = answers(ueo.load(run, "cpu"), paths)
    target = exported(run, tmp_path / "export")
    shutil.rmtree(run)
    model = ueo.load(target, "cpu")
    assert answers(model, paths) == expected
    assert model.network.model.logit_bias == (LEARNT_BIAS if kind == "siglip" else None)
    text = (target / "README.md").read_text()
    named = small_backbones(kind).removeprefix("open_clip:local-dir:")
    assert named not in text and named not in (target / "model.json").read_text()
    steps = {"siglip": "Both sides are resized (bicubic), to 32 x 32"}
    assert steps.get(kind, "") in text


def exported(run, folder, *options):
    arguments = ["--model", str(run), "--output", str(folder), "--plugin", str(TOY_PLUGIN)]
    assert export.main([*arguments, *(options or ["--no-onnx"])]) == 0
    return folder


def test_open_clip_reads_the_merged_towers(on, tmp_path):
    import open_clip

    _, run = on("siglip", trainer="FLYP")
    folder = exported(run, tmp_path / "export")
    theirs, model = open_clip.create_model(f"local-dir:{folder}").eval(), ueo.load(run, "cpu")
    assert theirs.visual.preprocess_cfg["resize_mode"] == "squash"
    images, texts = torch.randn(2, 3, 32, 32), ["a photo of a mug.", "the sun"]
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(texts)
    with torch.no_grad():
        ours = model.network.model
        found = theirs.encode_image(images, normalize=True)
        torch.testing.assert_close(found, ours.image_features(images), atol=1e-5, rtol=0)
        again = load_clip(f"open_clip:local-dir:{folder}", "fp32").visual(images)
        torch.testing.assert_close(F.normalize(again, dim=-1), found, atol=1e-6, rtol=0)
        found = theirs.encode_text(tokens, normalize=True)
        torch.testing.assert_close(found, ours.text_features(texts), atol=1e-5, rtol=0)


@pytest.mark.skipif(bool(missing_packages()), reason="needs the extra onnx")
def test_onnx_holds_a_timm_tower(on, tmp_path, capsys):
    _, run = on("siglip")
    exported(run, tmp_path / "out", "--onnx")
    assert "differ from torch's by" in capsys.readouterr().out
