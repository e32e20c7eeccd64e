"""UEO as released: tuned parameters, batches, weights and steps."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clip.model import ModifiedResNet, VisionTransformer
from conftest import read
from dassl.data.datasets import build_dataset

from ueo.clip.towers.openai import affine_by_name
from ueo.images import items
from ueo.images.decoding import read_image
from ueo.settings.options import Option
from ueo.trainers.base import CLIPTrainer
from ueo.trainers.ueo import UEO

# what is tuned


def test_rn50_tunes_45568_visual_parameters_and_no_downsampling_norm():
    names = affine_by_name(ModifiedResNet((3, 4, 6, 3), 1024, 32, 224, 64))
    assert sum(p.numel() for p in names.values()) == 45_568
    assert not any("downsample" in n or "attnpool" in n for n in names)
    assert all(".bn" in f".{n}" for n in names)


def test_vit_b16_tunes_39936_visual_parameters():
    names = affine_by_name(VisionTransformer(224, 16, 768, 12, 12, 512))
    assert sum(p.numel() for p in names.values()) == 39_936
    assert {n.split(".")[-2] for n in names} == {"ln_pre", "ln_1", "ln_2", "ln_post"}


@pytest.mark.parametrize("kind", ["rn", "vit"])
@pytest.mark.parametrize("tune, parts", [
    ("both", {"prompt", "visual"}), ("prompt", {"prompt"}), ("visual_affine", {"visual"}),
    ("visual_affine_all", {"visual"}),
])
def test_only_the_named_parts_change(build, kind, tune, parts):
    trainer = build("TRAINER.UEO.TUNE", tune, "OPTIM.LR", "0.1", kind=kind)
    before = {n: t.clone() for n, t in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert {n.split(".")[0] for n in moved} == parts
    shortcuts = {n for n in moved if ".downsample.1." in n}  # their BatchNorms
    assert all("bn" in n or "ln" in n for n in moved - shortcuts if n.startswith("visual"))
    assert bool(shortcuts) == (tune == "visual_affine_all" and kind == "rn")
    assert not any("running" in n or "num_batches" in n for n in moved), "statistics moved"


# batches


def test_batches_hold_neither_labels_nor_paths(build):
    trainer = build()
    for batch in trainer.train_loader_x:
        assert (batch["label"] == -1).all()
        assert set(batch["impath"]) == {""}
        assert set(batch) == {"img", "label", "domain", "impath", "index"}


def test_each_image_is_seen_once_an_epoch_and_the_last_small_batch_is_kept(build):
    trainer = build()
    count = len(trainer.dm.dataset.train_u)
    batches = list(trainer.train_loader_x)
    assert count % 16, "the toy set must leave a small last batch"
    assert len(batches) == math.ceil(count / 16) and len(batches[-1]["img"]) == count % 16
    assert sorted(torch.cat([b["index"] for b in batches]).tolist()) == list(range(count))


# weights


def cosines(trainer, item):
    """Cosines of one image, computed without a loader and without a batch."""
    image = trainer.test_loader.dataset.transform(read_image(item.impath))
    with torch.no_grad():
        return trainer.model(image[None])[0]


@pytest.mark.parametrize("kind", ["rn", "vit"])
def test_a_samples_weight_is_its_own_zero_shot_confidence(build, kind):
    trainer = build(kind=kind)
    trainer.before_train()
    items = build_dataset(trainer.cfg).train_u
    expected = torch.stack([F.softmax(cosines(trainer, item), 0).max() for item in items])
    torch.testing.assert_close(trainer.weight, expected, atol=1e-6, rtol=0)
    assert expected.std() > 1e-5, "weights must differ for this test to mean anything"
    assert not trainer.weight.requires_grad


@pytest.mark.parametrize("option, temperature", [("0", None), ("0.5", 0.5)])
def test_weights_may_be_taken_at_another_temperature(build, option, temperature):
    trainer = build("TRAINER.UEO.TEMPERATURE", option, kind="vit")
    trainer.before_train()
    scale = trainer.model.logit_scale if temperature is None else 1 / temperature
    expected = (scale * trainer.passes.unlabelled_cosines()).softmax(1).amax(1)
    torch.testing.assert_close(trainer.weight, expected)


def test_the_loss_of_a_batch_uses_each_samples_own_weight(build):
    trainer = build()
    trainer.before_train()
    trainer.weight = torch.rand(len(trainer.weight)) + 0.05  # released weights are nearly flat
    batch = next(iter(trainer.train_loader_x))
    with torch.no_grad():
        p = (trainer.model.logit_scale * trainer.model(batch["img"])).softmax(-1).double().numpy()
    w = np.array([trainer.weight[i].item() for i in batch["index"].tolist()])
    conditional = (w * -(p * np.log(p + 1e-5)).sum(1)).sum() / w.sum()
    mean = (p / w[:, None]).sum(0) / (1 / w).sum()
    expected = conditional + (mean * np.log(mean + 1e-5)).sum()
    assert trainer.loss(batch)["loss"].item() == pytest.approx(expected, abs=1e-5)


def test_weights_carry_no_gradient(build):
    """The gradient is that of the loss with constant weights."""
    trainer = build("TRAINER.UEO.TUNE", "prompt")
    trainer.before_train()
    batch = next(iter(trainer.train_loader_x))
    ctx = trainer.model.prompt.ctx
    (got,) = torch.autograd.grad(trainer.loss(batch)["loss"], ctx)
    w = trainer.weight[batch["index"]].detach().clone()
    p = (trainer.model.logit_scale * trainer.model(batch["img"])).softmax(-1)
    h = -(p * (p + 1e-5).log()).sum(1)
    mean = (p / w[:, None]).sum(0) / (1 / w).sum()
    loss = (w * h).sum() / w.sum() + (mean * (mean + 1e-5).log()).sum()
    (expected,) = torch.autograd.grad(loss, ctx)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-4)


def test_uniform_weighting_is_infomax_and_oracle_knows_the_unknown(build):
    trainer = build("TRAINER.UEO.WEIGHTING", "uniform")
    trainer.before_train()
    assert (trainer.weight == 1).all()
    trainer = build("TRAINER.UEO.WEIGHTING", "oracle")
    trainer.before_train()
    known = torch.tensor([item.label < 4 for item in build_dataset(trainer.cfg).train_u])
    torch.testing.assert_close(trainer.weight, known.float() + 1e-3)


# steps


def test_the_learning_rate_follows_a_cosine_over_iterations_to_zero(build):
    trainer = build("OPTIM.LR", "0.01", "TRAINER.UEO.PROMPT_LR", "0.02", epochs=3)
    rates = []
    step = trainer.optim.step
    trainer.optim.step = lambda *a, **k: (
        rates.append([g["lr"] for g in trainer.optim.param_groups]), step(*a, **k))[1]
    trainer.train()
    total = 3 * len(trainer.train_loader_x)
    assert len(rates) == total
    factor = [(1 + math.cos(math.pi * t / total)) / 2 for t in range(total)]
    np.testing.assert_allclose([r[0] for r in rates], [0.02 * f for f in factor], atol=1e-12)
    np.testing.assert_allclose([r[1] for r in rates], [0.01 * f for f in factor], atol=1e-12)
    assert trainer.optim.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_a_methods_own_part_has_its_declared_rate(build, monkeypatch):
    monkeypatch.setattr(UEO, "trainable", lambda self: dict(
        zip(("context", "norms"), CLIPTrainer.trainable(self).values())))
    monkeypatch.setattr(UEO, "defaults", {
        **UEO.defaults, "CONTEXT_LR": Option(0.02, low=0), "NORMS_LR": Option(None, kind=float)})
    groups = build("OPTIM.LR", "0.01").optim.param_groups
    assert [group["lr"] for group in groups] == [0.02, 0.01]


def test_steps_are_plain_gradient_descent(build):
    """No momentum, no weight decay: a step is -lr times the gradient, at the second step too."""
    trainer = build("OPTIM.LR", "0.01", epochs=3)
    trainer.before_train()
    trainer.epoch, trainer.num_batches = 0, len(trainer.train_loader_x)
    named = [p for g in trainer.groups.values() for p in g.values()]
    for index, batch in enumerate(trainer.train_loader_x):
        trainer.batch_idx = index
        gradients = torch.autograd.grad(trainer.loss(batch)["loss"], named)
        rate, before = trainer.get_current_lr(), [p.detach().clone() for p in named]
        trainer.forward_backward(batch)
        for p, old, gradient in zip(named, before, gradients):
            torch.testing.assert_close(p.detach(), old - rate * gradient, atol=1e-6, rtol=1e-4)


def test_training_evaluations_do_not_change_training(toy):
    _, often = toy("often", "TRAINER.UEO.EVAL_FREQ", "1", epochs=3)
    _, never = toy("never", "TRAINER.UEO.EVAL_FREQ", "0", epochs=3)
    assert len(read(often)["evaluations"]) == 4 and len(read(never)["evaluations"]) == 2
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (often, never))
    np.testing.assert_array_equal(a, b)


def test_choosing_an_epoch_by_target_labels_is_refused(toy, capsys):
    status, folder = toy("best", "TEST.FINAL_MODEL", "best_val")
    assert status == 2 and "deploys its last step" in capsys.readouterr().err
    assert not (folder / "result.json").exists()


def test_an_image_is_decoded_once_for_all_epochs_and_runs(build, tmp_path, monkeypatch):
    decoded, real = [], items.read_image
    monkeypatch.setattr(
        items, "read_image", lambda path, *how: decoded.append(path) or real(path, *how)
    )
    for seed in (1, 2):
        trainer = build("DATASET.STORE", str(tmp_path), "OPTIM.MAX_EPOCH", "2", seed=seed)
        trainer.train()
        truth = build_dataset(trainer.cfg)
        both = truth.test + truth.train_u
        assert sorted(decoded) == sorted({item.impath for item in both})
