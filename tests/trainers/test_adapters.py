"""Adapters after the image tower: formulas in NumPy, special cases and initialisation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, toy_arguments
from scipy.special import logsumexp

from ueo.clip.adapters import Cache
from ueo.commands import train
from ueo.pseudo_labels import prototypes

SHOTS = ("DATASET.NUM_SHOTS", "3")


def unit(rng, *shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def tensors(*arrays):
    return [torch.from_numpy(a).float() for a in arrays]


def started(trainer):
    """The trainer just before its first step, and a batch."""
    trainer.before_train()
    trainer.before_epoch()
    return trainer, next(iter(trainer.train_loader_x))


def cross_entropy(logits, labels):
    """In float64: mean of logsumexp minus the label's logit."""
    logits = logits.double().numpy()
    return (logsumexp(logits, axis=1) - logits[np.arange(len(logits)), labels]).mean()


def test_the_cache_equals_tip_adapters_formula():
    rng = np.random.default_rng(0)
    features, classes, keys = unit(rng, 5, 16), unit(rng, 4, 16), unit(rng, 9, 16)
    labels = np.array([0, 3, 3, 1, 0, 2, 2, 2, 1])
    alpha, beta, scale = 1.7, 5.5, 20.0
    cache = Cache(12, 4, 16, alpha / scale, beta)  # three rows are not used
    f, t, k = tensors(features, classes, keys)
    torch.testing.assert_close(cache(f, t), f @ t.T)  # not filled: zero-shot
    cache.fill(k, torch.from_numpy(labels))
    one_hot = np.eye(4)[labels]
    expected = scale * features @ classes.T
    expected += alpha * np.exp(-beta * (1 - features @ keys.T)) @ one_hot
    np.testing.assert_allclose(scale * cache(f, t).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name, options, alpha, beta", [
    ("TipAdapter", SHOTS, 1.17, 1.0), ("TipAdapterF", SHOTS, 1.17, 1.0), ("UPAdapter", (), 1, 5.5),
])
def test_a_cache_adds_the_papers_term_to_the_logits(build, name, options, alpha, beta):
    """alpha is relative to CLIP's logits, not to its cosines."""
    trainer, batch = started(build(*options, trainer=name))
    with torch.no_grad():
        found = trainer.logits(batch["img"]).double().numpy()
        features = trainer.model.image_features(batch["img"]).double().numpy()
        classes = trainer.model.class_features().double().numpy()
    cache = trainer.model.adapter
    keys, values = (t.detach().double().numpy() for t in (cache.keys, cache.values))
    expected = trainer.model.logit_scale * features @ classes.T
    expected += alpha * np.exp(-beta * (1 - features @ keys.T)) @ values
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_tip_adapter_keeps_the_views_of_its_shots_and_alpha_0_is_zero_shot(build, toy, kind):
    trainer = build(*SHOTS, trainer="TipAdapter", kind=kind)
    trainer.before_train()
    cache, items = trainer.model.adapter, trainer.dm.dataset.train_x
    assert len(items) == 3 * 4 == int(cache.values.sum())
    assert cache.values.argmax(1).tolist() == [item.label for item in items]
    torch.testing.assert_close(cache.keys.norm(dim=1), torch.ones(12))
    plain = trainer.passes.image_features(trainer.test_loader, "test")
    assert (cache.keys @ plain.T).max() < 1 - 1e-6  # augmented, and no shot is tested
    _, folder = toy("off", *SHOTS, "TRAINER.TipAdapter.ALPHA", "0.0", trainer="TipAdapter",
                    kind=kind)
    found = np.load(folder / "outputs.npz")
    np.testing.assert_array_equal(found["test_scores_after"], found["test_scores_before"])
    _, folder = toy("on", *SHOTS, trainer="TipAdapter", kind=kind)
    found = np.load(folder / "outputs.npz")
    assert (found["test_scores_after"] != found["test_scores_before"]).any()


def test_tip_adapter_f_starts_as_tip_adapter_and_tunes_its_keys_alone(build):
    still = build(*SHOTS, trainer="TipAdapter")
    still.before_train()
    tuned, batch = started(build(*SHOTS, "OPTIM.NAME", "adamw", trainer="TipAdapterF"))
    torch.testing.assert_close(tuned.model.adapter.keys, still.model.adapter.keys)
    assert tuned.optim.param_groups[0]["eps"] == 1e-4
    with torch.no_grad():
        logits = tuned.logits(batch["img"])
        loss = float(tuned.loss(batch)["loss"])
    assert abs(loss - cross_entropy(logits, batch["label"].numpy())) < 1e-6
    moving = [n for n, p in tuned.model.named_parameters() if p.requires_grad]
    assert moving == ["adapter.keys"]


def test_clip_adapter_blends_and_ratio_0_is_zero_shot(build):
    trainer, batch = started(build(*SHOTS, trainer="CLIPAdapter"))
    adapter = trainer.model.adapter
    with torch.no_grad():
        features = trainer.model.image_features(batch["img"]).double().numpy()
        classes = trainer.model.class_features().double().numpy()
        cosines = trainer.cosines(batch["img"]).numpy()
    down, up = (w.detach().double().numpy() for w in (adapter.down, adapter.up))
    assert down.shape == (8, 32) and up.shape == (32, 8)
    learnt = np.maximum(np.maximum(features @ down.T, 0) @ up.T, 0)
    blend = 0.2 * learnt + 0.8 * features
    blend /= np.linalg.norm(blend, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, blend @ classes.T, atol=1e-6)
    off, _ = started(build(*SHOTS, "TRAINER.CLIPAdapter.RATIO", "0.0", trainer="CLIPAdapter"))
    with torch.no_grad():
        np.testing.assert_allclose(off.cosines(batch["img"]), features @ classes.T, atol=1e-6)


def test_a_linear_probe_starts_as_the_class_features_or_at_zero(build):
    trainer, batch = started(build(*SHOTS, trainer="LinearProbe"))
    with torch.no_grad():
        expected = trainer.model.image_features(batch["img"]) @ trainer.model.class_features().T
        torch.testing.assert_close(trainer.cosines(batch["img"]), expected)
    zero, batch = started(build(*SHOTS, "TRAINER.LinearProbe.INIT", "zero", trainer="LinearProbe"))
    with torch.no_grad():
        assert float(zero.loss(batch)["loss"]) == pytest.approx(np.log(4), abs=1e-6)


def test_prototypes_are_mean_features_and_a_class_without_image_keeps_its_own():
    rng = np.random.default_rng(1)
    features, otherwise = unit(rng, 6, 8), unit(rng, 3, 8)
    pseudo = np.array([0, -1, 2, 0, -1, 2])
    found = prototypes(*tensors(features), torch.from_numpy(pseudo), *tensors(otherwise)).numpy()
    for label, rows in ((0, [0, 3]), (2, [2, 5])):
        mean = features[rows].mean(0)
        np.testing.assert_allclose(found[label], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(found[1], otherwise[1], atol=1e-7)


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_up_adapter_learns_from_its_most_confident_images_alone(build, kind):
    trainer, batch = started(build("TRAINER.UPAdapter.TOP_K", "2", trainer="UPAdapter", kind=kind))
    pseudo = trainer.pseudo.numpy()
    known = pseudo[pseudo >= 0]
    assert np.bincount(known).max() <= 2 and len(trainer.train_loader_x.dataset) == len(known)
    assert trainer.notes["selected"] == len(known)
    empty = [CLASSES[k] for k in range(4) if k not in known]
    assert trainer.notes["empty_classes"] == empty
    features = trainer.passes.image_features(trainer.unlabelled_loader, "again")
    cache = trainer.model.adapter
    for k in range(4):
        rows = np.flatnonzero(pseudo == k)
        expected = (F.normalize(features[rows].mean(0), dim=0) if len(rows)
                    else trainer.model.class_features()[k].detach())
        torch.testing.assert_close(cache.keys[k].detach(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(cache.values, torch.eye(4))
    with torch.no_grad():
        logits, loss = trainer.logits(batch["img"]), float(trainer.loss(batch)["loss"])
    labels = pseudo[batch["index"].numpy()]
    assert (labels >= 0).all()
    assert abs(loss - cross_entropy(logits, labels)) < 1e-5


@pytest.mark.parametrize("option, value, bounds", [
    ("RATIO", "1.0", "from 0 to below 1"), ("REDUCTION", "0", "from 1 on"),
])
def test_options_out_of_bounds_are_refused(toy, capsys, option, value, bounds):
    status, _ = toy("run", *SHOTS, f"TRAINER.CLIPAdapter.{option}", value, trainer="CLIPAdapter")
    error = capsys.readouterr().err
    assert status == 2 and f"TRAINER.CLIPAdapter.{option} takes" in error and bounds in error


def test_a_cache_is_tested_on_another_domain(toy, toy_root, weights, tmp_path):
    """The number of rows stays the same, also if a class has fewer images than requested shots."""
    options = ["DATASET.PROTOCOL", "independent", "DATASET.NUM_SHOTS", "50"]
    assert toy("run", *options, trainer="TipAdapterF")[0] == 0
    argv = toy_arguments(toy_root, weights, tmp_path / "blue", trainer="TipAdapterF")
    argv[argv.index("--domain") + 1] = "blue"
    pairs = argv.index("INPUT.SIZE")
    argv[pairs:pairs] = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert train.main([*argv, *options]) == 0
