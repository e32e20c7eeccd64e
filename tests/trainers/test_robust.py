"""Fine-tuning with labels: plain, contrastive and anchored; mixtures with zero-shot weights."""

import json
import os
import re
from pathlib import Path

import clip
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, TOY_PLUGIN, killed_in_epoch, read
from PIL import Image
from scipy.special import logsumexp

from ueo.commands.studies import wise_ft
from ueo.files import read_json
from ueo.images.decoding import read_image
from ueo.trainers.arf import ARF

SHOTS = ("DATASET.NUM_SHOTS", "3", "OPTIM.LR", "0.01")
PROMPTS = [f"a photo of a {name.replace('_', ' ')}." for name in CLASSES]


@pytest.fixture(scope="module")
def anchors(toy_root, tmp_path_factory) -> tuple[str, ...]:
    """Options that give ARF captions of the toy set and a pool of 9 pairs."""
    folder = tmp_path_factory.mktemp("anchors")
    rng = np.random.default_rng(3)
    lines = []
    for domain in ("red", "blue"):
        for name in CLASSES:
            for path in sorted(Path(toy_root, "toy", domain, name).iterdir()):
                texts = [f"{name} {path.stem}", f"some {domain} thing, number {path.stem}"]
                image = os.path.relpath(path, f"{toy_root}/toy")
                lines.append(json.dumps({"image": image, "captions": texts}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    (folder / "pool").mkdir()
    for number in range(9):
        pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pool" / f"{number}.png")
        (folder / "pool" / f"{number}.txt").write_text(f"thing {number} of a pool")
    return (*SHOTS, "TRAINER.ARF.CAPTIONS", str(folder / "captions.jsonl"),
            "TRAINER.ARF.POOL", str(folder / "pool"), "TRAINER.ARF.PAIRS", "5",
            "TRAINER.ARF.POOL_FEATURES", str(folder))


def numpy_contrastive(images, texts, scale):
    """Mean over pairs and both directions of -log softmax at the pair itself, in float64."""
    logits = scale * images.double().numpy() @ texts.double().numpy().T
    own = np.arange(len(logits))
    rows = -(logits[own, own] - logsumexp(logits, axis=1)).mean()
    columns = -(logits[own, own] - logsumexp(logits, axis=0)).mean()
    return (rows + columns) / 2


def encoded(trainer, texts):
    """Features by OpenAI's own tower, on all 77 tokens."""
    model = trainer.model
    with torch.no_grad():
        tokens = clip.tokenize(texts)
        features = model.text_encoder(model.token_embedding(tokens), tokens.argmax(-1))
        return F.normalize(features, dim=-1)


def started(trainer):
    trainer.before_train()
    trainer.before_epoch()
    return trainer, next(iter(trainer.train_loader_x))


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_flyp_contrasts_images_with_class_prompts_and_equal_classes_are_negatives(build, kind):
    trainer, batch = started(build(*SHOTS, trainer="FLYP", kind=kind))
    assert len(set(batch["label"].tolist())) < len(batch["label"])
    with torch.no_grad():
        images = trainer.model.image_features(batch["img"])
        texts = encoded(trainer, [PROMPTS[i] for i in batch["label"]])
    expected = numpy_contrastive(images, texts, trainer.model.logit_scale)
    assert trainer.loss(batch)["loss"].item() == pytest.approx(expected, abs=1e-4)


def test_plain_fine_tuning_is_cross_entropy_on_the_class_prompts(build):
    trainer, batch = started(build(*SHOTS, trainer="FineTune"))
    with torch.no_grad():
        texts = encoded(trainer, PROMPTS[:4])
        logits = trainer.model.logit_scale * trainer.model.image_features(batch["img"]) @ texts.T
    logits, own = logits.double().numpy(), np.arange(len(logits))
    expected = (logsumexp(logits, axis=1) - logits[own, batch["label"].numpy()]).mean()
    assert trainer.loss(batch)["loss"].item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("rule", ["image", "text"])
def test_both_anchors_are_the_contrastive_loss_of_captions_and_of_retrieved_pairs(
        build, anchors, rule):
    weights = ("TRAINER.ARF.CAPTION_WEIGHT", "0.5", "TRAINER.ARF.PAIR_WEIGHT", "2.0",
               "TRAINER.ARF.RULE", rule)
    trainer, batch = started(build(*anchors, *weights, trainer="ARF"))
    scale, dataset = trainer.model.logit_scale, trainer.dm.dataset
    drawn = []
    trainer.upcoming = (drawn.append(pairs) or pairs for pairs in trainer.upcoming)
    for epoch in (0, 1):  # captions take turns
        trainer.epoch = epoch
        losses = {name: value.item() for name, value in trainer.loss(batch).items()}
        paths = [dataset.train_x[i].impath for i in batch["index"]]
        names = [(path.split("/")[-2], path.split("/")[-1][:-4]) for path in paths]
        texts = [(f"{name} {stem}", f"some red thing, number {stem}")[epoch]
                 for name, stem in names]
        with torch.no_grad():
            images = trainer.model.image_features(batch["img"])
            expected = 0.5 * numpy_contrastive(images, encoded(trainer, texts), scale)
            assert losses["caption_loss"] == pytest.approx(expected, abs=1e-4)
            pair_texts = encoded(trainer, [trainer.pair_texts[i] for i in drawn[epoch]["index"]])
            images = trainer.model.image_features(drawn[epoch]["img"])
            expected = 2 * numpy_contrastive(images, pair_texts, scale)
        assert losses["pair_loss"] == pytest.approx(expected, abs=1e-4)
        parts = ("class_loss", "caption_loss", "pair_loss")
        assert losses["loss"] == pytest.approx(sum(losses[p] for p in parts), abs=1e-5)


@pytest.mark.parametrize("rule", ["image", "text"])
def test_the_pairs_are_those_most_similar_to_the_task(build, anchors, rule):
    trainer, _ = started(build(*anchors, "TRAINER.ARF.RULE", rule, trainer="ARF"))
    transform, model = trainer.test_loader.dataset.transform, trainer.model
    with torch.no_grad():
        if rule == "image":
            task = torch.stack([transform(read_image(item.impath))
                                for item in trainer.dm.dataset.train_x])
            images = torch.stack([transform(trainer.pool.image(i)) for i in range(9)])
            similar = model.image_features(images) @ model.image_features(task).T
        else:
            texts = encoded(trainer, [f"thing {i} of a pool" for i in range(9)])
            similar = texts @ encoded(trainer, PROMPTS[:4]).T
    best = similar.amax(1).argsort(descending=True)[:5]
    assert trainer.pair_texts == [f"thing {i} of a pool" for i in best.tolist()]


def test_without_anchors_arf_is_flyp_to_the_last_bit(toy, anchors):
    _, flyp = toy("flyp", *SHOTS, trainer="FLYP")
    off = ("TRAINER.ARF.CAPTION_WEIGHT", "0.0", "TRAINER.ARF.PAIR_WEIGHT", "0.0")
    weightless = toy("weightless", *anchors, *off, trainer="ARF")[1]
    sourceless = toy("sourceless", *SHOTS, trainer="ARF")[1]
    anchored = toy("anchored", *anchors, trainer="ARF")[1]
    states = [torch.load(f / "tuned/model.pth.tar-2", weights_only=False)["state_dict"]
              for f in (flyp, weightless, sourceless, anchored)]
    assert any(name.startswith("text_encoder.") for name in states[0])
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]) and torch.equal(value, states[2][name])
    assert any(not torch.equal(value, states[3][name]) for name, value in states[0].items())
    assert read(anchored)["notes"]["anchors"] == ["captions", "pairs"]


def test_an_anchored_run_resumes_to_the_same_numbers(toy, anchors, monkeypatch):
    _, unbroken = toy("unbroken", *anchors, trainer="ARF", epochs=3)
    with killed_in_epoch(ARF):
        assert toy("resumed", *anchors, trainer="ARF", epochs=3)[0] == 130
    status, resumed = toy("resumed", *anchors, trainer="ARF", epochs=3)
    assert status == 0 and read(resumed)["resumed_from_epoch"] == 1
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (unbroken, resumed))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("options, message", [
    (("PAIRS", "10"), "10 pairs are asked for, the pool .* holds 9"),
    (("PAIRS", "0"), "PAIRS takes a whole number from 1 on, not 0"),
    (("RULE", "texts"), "TRAINER.ARF.RULE: 'texts' is unknown; did you mean 'text'"),
    (("POOL", "/nowhere"), "/nowhere: no such pool"),
    (("CAPTIONS", "/nowhere"), "/nowhere: cannot be read"),
    (("SEARCH_MEMORY", "100"), "SEARCH_MEMORY: too few bytes"),
])
def test_a_mistake_is_one_clear_line(toy, anchors, capsys, options, message):
    key, value = options
    status, _ = toy("run", *anchors, f"TRAINER.ARF.{key}", value, trainer="ARF")
    error = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    (line,) = [line for line in error if line.startswith("Error")]
    assert re.search(message, line)


@pytest.mark.parametrize("tune, towers", [
    ("visual", {"visual"}), ("text", {"text_encoder"}), ("model", {"visual", "text_encoder"}),
])
def test_either_tower_or_both_can_be_fine_tuned(build, tune, towers):
    trainer = build(*SHOTS, "TRAINER.FLYP.TUNE", tune, trainer="FLYP")
    before = {n: t.clone() for n, t in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert {n.split(".")[0] for n in moved} == towers


# WiSE-FT


@pytest.mark.parametrize("trainer", ["FLYP", "UEO", "UPL"])
def test_mixing_with_alpha_0_and_1_gives_the_start_and_the_end_of_training(
    toy, toy_root, trainer, capsys
):
    shots = SHOTS if trainer == "FLYP" else ("OPTIM.LR", "0.1")
    _, folder = toy("run", *shots, trainer=trainer)
    argv = ["--model-dir", str(folder), "--root", toy_root, "--plugin", str(TOY_PLUGIN),
            "--device", "cpu", "--set", "DATALOADER.NUM_WORKERS", "0", "--alpha"]
    assert wise_ft.main([*argv, "0", "0.5", "1"]) == 0
    assert "alpha" in capsys.readouterr().out
    run = np.load(folder / "outputs.npz")
    mixed = {a: np.load(folder / f"wise_ft/alpha{a}/outputs.npz") for a in ("0", "0.5", "1")}
    for part in ("test", "unlabelled"):
        scores = {a: file[f"{part}_scores_after"] for a, file in mixed.items()}
        np.testing.assert_array_equal(scores["0"], run[f"{part}_scores_before"])
        np.testing.assert_array_equal(scores["1"], run[f"{part}_scores_after"])
        assert (scores["0.5"] != scores["0"]).any() and (scores["0.5"] != scores["1"]).any()
    result = read(folder / "wise_ft/alpha1")
    assert result["metrics"] == read(folder)["metrics"]
    assert result["notes"]["wise_ft"] == {"run": str(folder), "alpha": 1.0}
    assert result["set_by_hand"] == read(folder)["set_by_hand"] != {}
    assert read(folder)["notes"].get("wise_ft") is None


def test_mixing_supports_other_domains_and_classes_and_refuses_runs_without_weights(
    toy, toy_root, capsys, tmp_path
):
    argv = ["--root", toy_root, "--plugin", str(TOY_PLUGIN), "--device", "cpu",
            "--set", "DATALOADER.NUM_WORKERS", "0", "--alpha", "0.3"]
    _, folder = toy("run", *SHOTS, trainer="FineTune")
    assert wise_ft.main(["--model-dir", str(folder), "--domain", "blue", "red", "--classes", "all",
                      "new", "--output-dir", str(tmp_path / "wise"), *argv]) == 0
    for domain in ("blue", "red"):
        whole, new = (read(tmp_path / "wise" / domain / c / "alpha0.3") for c in ("all", "new"))
        assert whole["domain"] == new["domain"] == domain
        assert new["counts"]["known_classes"] == whole["counts"]["known_classes"] // 2
    _, frozen = toy("frozen", trainer="ZeroshotCLIP")
    for model_dir, message in ((frozen, "tunes nothing"), (tmp_path, "no finished run")):
        capsys.readouterr()
        assert wise_ft.main(["--model-dir", str(model_dir), *argv]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_mixing_a_run_with_a_random_context_keeps_before_and_thresholds(toy, toy_root):
    _, folder = toy("run", "TRAINER.UPL.CTX_INIT", "", trainer="UPL")
    assert wise_ft.main(["--model-dir", str(folder), "--root", toy_root, "--plugin",
                         str(TOY_PLUGIN), "--device", "cpu", "--alpha", "1"]) == 0
    run, there = (np.load(f / "outputs.npz") for f in (folder, folder / "wise_ft" / "alpha1"))
    for part in ("predictions", "scores"):
        for when in ("before", "after"):
            name = f"unlabelled_{part}_{when}"
            np.testing.assert_array_equal(run[name], there[name])
    facts = [read_json(f / "model.json", dict, "") for f in (folder, folder / "wise_ft" / "alpha1")]
    assert facts[0]["thresholds"] == facts[1]["thresholds"]


@pytest.mark.parametrize("trainer", ["TDA", "TransCLIP", "ZLaP", "UPAdapter", "Midway"])
def test_state_bound_to_classes_is_neither_mixed_nor_used_for_other_classes(
    toy, toy_root, capsys, trainer
):
    _, folder = toy("run", "DATASET.SUBSAMPLE_CLASSES", "base", trainer=trainer, setting="closed")
    argv = ["--model-dir", str(folder), "--root", toy_root, "--plugin", str(TOY_PLUGIN),
            "--device", "cpu", "--alpha"]
    for asked, words in (
        (["0.5"], "--alpha: "), (["1", "--classes", "new"], "learns is bound to its 2 classes"),
    ):
        capsys.readouterr()
        assert wise_ft.main([*argv, *asked]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1, error
    assert wise_ft.main([*argv, "1"]) == 0
    assert read(folder / "wise_ft/alpha1")["metrics"] == read(folder)["metrics"]


def test_both_anchors_on_a_tower_of_timm(toy, anchors, small_backbones, pretended_transformers):
    status, folder = toy("run", *anchors, trainer="ARF", epochs=1,
                         backbone=small_backbones("siglip"))
    assert status == 0 and read(folder)["notes"]["anchors"] == ["captions", "pairs"]
    assert np.isfinite(np.load(folder / "outputs.npz")["test_scores_after"]).all()
