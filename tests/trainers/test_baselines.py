"""The other methods: what each computes in advance, tunes, reads and stores."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import SHUFFLED, killed_in_epoch, read, toy_arguments, trainer_names
from dassl.engine import TRAINER_REGISTRY

from ueo.commands import train
from ueo.pseudo_labels import most_confident

TRAINERS = trainer_names()
UNSUPERVISED = [t for t in TRAINERS
                if not TRAINER_REGISTRY.get(t).uses_labels and t != "ZeroshotCLIP"]
SUPERVISED = [t for t in TRAINERS if TRAINER_REGISTRY.get(t).uses_labels]


@pytest.fixture(scope="module")
def unbroken(toy_root, weights, tmp_path_factory):
    """unbroken(trainer): (folder, options) of an uninterrupted run of three epochs, made once."""
    place = tmp_path_factory.mktemp("unbroken")

    def run(trainer: str) -> tuple[Path, tuple[str, ...]]:
        folder, learns = place / trainer, TRAINER_REGISTRY.get(trainer).uses_labels
        options = ("DATASET.NUM_SHOTS", "3", "OPTIM.LR", "0.1") if learns else ()
        argv = toy_arguments(toy_root, weights, folder, trainer=trainer, epochs=3)
        assert train.main([*argv, *options]) == 0  # a finished run returns at once
        return folder, options

    return run


@pytest.mark.parametrize("trainer", UNSUPERVISED)
def test_permuted_labels_of_the_unlabelled_set_change_nothing(toy, tmp_path, unbroken, trainer):
    plugin = tmp_path / "shuffled_toy.py"
    plugin.write_text(SHUFFLED)
    plain, _ = unbroken(trainer)
    status, permuted = toy("permuted", "DATASET.NAME", "ShuffledToy", trainer=trainer, epochs=3,
                           plugins=[str(plugin)])
    assert status == 0
    a, b = (np.load(f / "outputs.npz") for f in (plain, permuted))
    for name in ("unlabelled_labels", "test_labels"):
        assert (a[name] != b[name]).any()
    np.testing.assert_array_equal(a["test_scores_after"], b["test_scores_after"])
    np.testing.assert_array_equal(a["test_predictions_after"], b["test_predictions_after"])


@pytest.mark.parametrize("trainer", SUPERVISED)
def test_supervised_methods_depend_on_labels_and_are_not_tested_on_their_shots(
    toy, tmp_path, unbroken, trainer
):
    plugin = tmp_path / "shuffled_toy.py"
    plugin.write_text(SHUFFLED)
    plain, options = unbroken(trainer)
    status, permuted = toy("permuted", *options, "DATASET.NAME", "ShuffledToy", trainer=trainer,
                           epochs=3, plugins=[str(plugin)])
    assert status == 0
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (plain, permuted))
    assert (a != b).any()
    counts = read(plain)["counts"]
    assert counts["shots_left_out_of_test"] == 4 * 3 and read(plain)["uses_labels"]
    whole, _ = unbroken("ZeroshotCLIP")
    assert counts["test"] == read(whole)["counts"]["test"] - 12
    assert read(whole)["split_hash"] == read(plain)["split_hash"]


def test_training_on_labelled_test_images_is_refused(toy, capsys):
    status, _ = toy(trainer="CoOp")
    assert status == 2 and "DATASET.NUM_SHOTS" in capsys.readouterr().err
    assert toy("ok", "DATASET.PROTOCOL", "independent", trainer="CoOp")[0] == 0


@pytest.mark.parametrize("trainer",
                         [t for t in TRAINERS if not TRAINER_REGISTRY.get(t).training_free])
def test_a_resumed_run_ends_in_the_same_numbers(toy, trainer, unbroken):
    """A method's own state is restored, too."""
    whole, options = unbroken(trainer)
    kind = TRAINER_REGISTRY.get(trainer)
    with killed_in_epoch(kind):
        assert toy("resumed", *options, trainer=trainer, epochs=3)[0] == 130
    status, resumed = toy("resumed", *options, trainer=trainer, epochs=3)
    assert status == 0 and read(resumed)["resumed_from_epoch"] == 1
    a, b = (np.load(f / "outputs.npz") for f in (whole, resumed))
    np.testing.assert_array_equal(a["test_scores_after"], b["test_scores_after"])
    if not (a["test_scores_after"] != a["test_scores_before"]).any():
        pytest.skip(f"{trainer} took no step on these images: this test says nothing of it")


# EntMin


def test_batch_statistics_are_used_only_after_the_zero_shot_model(build):
    trainer = build("TRAINER.EntMin.BATCH_STATS", "True", trainer="EntMin", kind="rn")
    batch = next(iter(trainer.test_loader))["img"]
    alone = trainer.model(batch[:1])
    torch.testing.assert_close(trainer.model(batch)[:1], alone, atol=1e-5, rtol=1e-4)
    trainer.prepare(None)
    assert (trainer.model(batch)[:1] - trainer.model(batch[:8])[:1]).abs().max() > 1e-4


def test_an_evaluation_with_batch_statistics_draws_its_batches_at_random(build):
    trainer = build("TRAINER.EntMin.BATCH_STATS", "True", "DATALOADER.TEST.BATCH_SIZE", "16",
                    trainer="EntMin", kind="rn")
    loader, size = trainer.test_loader, 16
    listed = torch.cat([batch["img"] for batch in loader]).mean((1, 2, 3))[:, None]

    def first_batch() -> torch.Tensor:
        seen = []
        rows = trainer.passes.rows(
            loader, lambda images: seen.append(images.mean((1, 2, 3))[:, None]) or seen[-1], "")
        torch.testing.assert_close(rows, listed)  # results are in the order of the list
        return seen[0]

    torch.testing.assert_close(first_batch(), listed[:size])
    trainer.prepare(None)
    drawn = first_batch()
    assert len(drawn) == size and not torch.isin(drawn, listed[:size]).all()
    torch.testing.assert_close(first_batch(), drawn)  # the same draw each time


def test_a_vit_has_no_batch_statistics(toy, capsys):
    status, _ = toy("x", "TRAINER.EntMin.BATCH_STATS", "True", trainer="EntMin", kind="vit")
    assert status == 2 and "no BatchNorm" in capsys.readouterr().err


# InfoMax


def test_infomax_is_ueo_with_equal_weights(toy):
    _, infomax = toy("infomax", trainer="InfoMax")
    _, ueo = toy("ueo", "TRAINER.UEO.WEIGHTING", "uniform")
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (infomax, ueo))
    np.testing.assert_allclose(a, b, atol=1e-6)


# UPL


def test_upl_keeps_the_most_confident_of_each_predicted_class():
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=(60, 5)) * 3)
    logits[:, 4] = -50  # never predicted
    chosen, pseudo = most_confident(logits, 4)
    confidence, predicted = logits.softmax(-1).max(-1)
    for k in range(5):
        members = sorted((i for i in range(60) if predicted[i] == k), key=lambda i: -confidence[i])
        assert sorted(members[:4]) == [i for i in chosen.tolist() if pseudo[i] == k]
    assert (pseudo >= 0).sum() == len(chosen) and not (pseudo == 4).any()
    everything, _ = most_confident(logits, 100)
    assert everything.tolist() == list(range(60))


def test_upl_trains_on_the_kept_images_alone_and_reports_empty_classes(build):
    trainer = build("TRAINER.UPL.TOP_K", "2", trainer="UPL", epochs=2)
    trainer.before_train()
    kept = [i for i, label in enumerate(trainer.pseudo.tolist()) if label >= 0]
    seen = [i for batch in trainer.train_loader_x for i in batch["index"].tolist()]
    assert sorted(seen) == kept and len(kept) <= 2 * 4
    assert trainer.sched.T_max == 2 * math.ceil(len(kept) / 16)
    predicted = {trainer.pseudo[i].item() for i in kept}
    names = trainer.dm.dataset.classnames
    assert trainer.notes["empty_classes"] == [n for k, n in enumerate(names) if k not in predicted]
    assert trainer.notes["selected"] == len(kept)


def test_an_ensemble_averages_cosines_and_trains_each_prompt_separately(build):
    options = ("TRAINER.UPL.CTX_INIT", "", "TRAINER.UPL.TUNE", "prompt")
    both = build(*options, "TRAINER.UPL.ENSEMBLE", "2", trainer="UPL")
    images = next(iter(both.test_loader))["img"]
    members = both.model.member_features()
    expected = torch.stack([both.model.image_features(images) @ m.T for m in members]).mean(0)
    torch.testing.assert_close(both.model(images), expected)
    one = build(*options, trainer="UPL")
    torch.testing.assert_close(one.model.class_features(), members[0])  # the same seed
    for trainer in (one, both):
        trainer.before_train()
    both.pseudo = one.pseudo  # two prompts would choose other images
    batch = next(iter(one.train_loader_x))
    (alone,) = torch.autograd.grad(one.loss(batch)["loss"], one.model.prompt.ctx)
    first = both.model.prompt.members()[0].ctx
    (together,) = torch.autograd.grad(both.loss(batch)["loss"], first)
    torch.testing.assert_close(alone, together)


RANDOM = ("CTX_INIT", ""), ("N_CTX", "3")


def random_context(name, *more):
    pairs = (*RANDOM, *more)
    return [part for key, value in pairs for part in (f"TRAINER.{name}.{key}", value)]


@pytest.mark.parametrize("name, more", [
    ("UPL", ()), ("UPL", (("ENSEMBLE", "2"),)), ("CPL", ()), ("MARS", ()),
    ("UEO", (("CSC", "True"),)),
])
def test_a_method_with_a_random_context_starts_from_zero_shot_cosines(build, name, more):
    zero_shot = build(trainer="ZeroshotCLIP")
    zero_shot.before_train()
    expected = zero_shot.passes.unlabelled_cosines()
    trainer, told = build(*random_context(name, *more), trainer=name), []
    before = [member.ctx.detach().clone() for member in trainer.model.prompt.members()]
    prepare = trainer.prepare
    trainer.prepare = lambda cosines: (told.append(cosines), prepare(cosines))
    trainer.before_train()
    torch.testing.assert_close(told[0], expected, rtol=0, atol=1e-6)
    ours, own = (t.evaluations.history[0] for t in (trainer, zero_shot))
    assert ours["test"]["accuracy"] == own["test"]["accuracy"]
    if name == "MARS":  # it reads the model's class features
        prob = (trainer.model.logit_scale * expected).softmax(-1)
        torch.testing.assert_close(trainer.zero_shot, prob, rtol=0, atol=1e-5)
    for member, context in zip(trainer.model.prompt.members(), before):
        assert torch.equal(member.ctx, context)
    assert not torch.allclose(trainer.passes.unlabelled_cosines(), expected, atol=1e-3)


def test_zero_shot_cosines_do_not_use_the_visual_prompt(build):
    zero_shot = build(trainer="ZeroshotCLIP", kind="vit")
    zero_shot.before_train()
    expected = zero_shot.passes.unlabelled_cosines()
    trainer, told = build("TRAINER.UEO.TUNE", "prompt+visual_prompt", kind="vit"), []
    start, prepare = trainer.model.visual_prompt, trainer.prepare
    trainer.prepare = lambda cosines: (told.append(cosines), prepare(cosines))
    trainer.before_train()
    torch.testing.assert_close(told[0], expected, rtol=0, atol=1e-6)
    assert trainer.model.visual_prompt is start
    assert not torch.allclose(trainer.passes.unlabelled_cosines(), expected, atol=1e-3)


def test_a_random_context_that_is_not_learnt_is_kept(build):
    trainer = build(*random_context("ZeroshotCLIP"), trainer="ZeroshotCLIP")
    trainer.before_train()
    found = trainer.evaluations.run(epoch=1)["unlabelled"]
    first, last = trainer.evaluations.history
    assert first["test"]["accuracy"] == last["test"]["accuracy"]
    assert torch.equal(found, trainer.passes.unlabelled_cosines())


def test_an_ensemble_of_equal_prompts_is_refused(toy, capsys):
    assert toy("x", "TRAINER.UPL.ENSEMBLE", "2", trainer="UPL")[0] == 2
    assert "CTX_INIT" in capsys.readouterr().err


# POUF


def test_poufs_loss_and_its_scale(build):
    trainer = build("TRAINER.POUF.LEARN_SCALE", "True", trainer="POUF")
    assert list(trainer.groups) == ["prompt", "visual_affine", "logit_scale"]
    batch = next(iter(trainer.train_loader_x))
    loss = trainer.loss(batch)
    c = trainer.model(batch["img"]).detach().double().numpy()
    z = trainer.model.logit_scale * c
    rows, columns = (np.exp(z) / np.exp(z).sum(axis, keepdims=True) for axis in (1, 0))
    transport = ((1 - c) * rows).sum(1).mean() + ((1 - c) * columns).sum(0).mean()
    mean = rows.mean(0)
    information = -(rows * np.log(rows + 1e-5)).sum(1).mean() + (mean * np.log(mean + 1e-5)).sum()
    assert loss["loss"].item() == pytest.approx(transport + 0.3 * information, abs=1e-4)
    (gradient,) = torch.autograd.grad(loss["loss"], trainer.log_scale)
    assert gradient.abs() > 0


def test_model_tuning_moves_both_towers(build):
    trainer = build("TRAINER.POUF.TUNE", "model", "OPTIM.LR", "0.01", trainer="POUF", kind="vit")
    before = {n: t.clone() for n, t in trainer.model.state_dict().items()}
    trainer.train()
    moved = {n for n, t in trainer.model.state_dict().items() if not torch.equal(t, before[n])}
    assert any(n.startswith("visual.transformer") for n in moved)
    assert any(n.startswith("text_encoder.blocks") for n in moved)
    assert "prompt.ctx" not in moved


# DANCE


def test_dances_memory_follows_the_features(build):
    trainer = build(trainer="DANCE")
    trainer.before_train()
    items = trainer.dm.dataset.train_u
    with torch.no_grad():
        for batch in trainer.unlabelled_loader:
            features = trainer.model.image_features(batch["img"])
            torch.testing.assert_close(trainer.memory[batch["index"]], features)
    assert trainer.memory.shape[0] == len(items)
    batch = next(iter(trainer.train_loader_x))
    with torch.no_grad():
        new = trainer.model.image_features(batch["img"])
    others = [i for i in range(len(items)) if i not in batch["index"].tolist()]
    old = trainer.memory.clone()
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    trainer.forward_backward(batch)
    torch.testing.assert_close(trainer.memory[batch["index"]], new)  # momentum 0
    torch.testing.assert_close(trainer.memory[others], old[others])


def test_dances_loss(build):
    trainer = build(trainer="DANCE")
    trainer.before_train()
    trainer.memory[:] = F.normalize(torch.randn_like(trainer.memory), dim=-1)
    batch = next(iter(trainer.train_loader_x))
    loss = trainer.loss(batch)
    with torch.no_grad():
        f = trainer.model.image_features(batch["img"]).double().numpy()
        z = (trainer.model.logit_scale * trainer.model(batch["img"])).double().numpy()
    memory, index = trainer.memory.double().numpy(), batch["index"].tolist()
    entropies = []
    for i in range(len(f)):
        row = list(z[i])
        row += [-20.0 if j in index else f[i] @ memory[j] / 0.05 for j in range(len(memory))]
        row += [-20.0 if j == i else f[i] @ f[j] / 0.05 for j in range(len(f))]
        p = np.exp(np.array(row) - max(row))
        p /= p.sum()
        entropies.append(-(p * np.log(p + 1e-5)).sum())
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    h = -(p * np.log(p + 1e-5)).sum(1)
    separation = -np.maximum(np.abs(h - math.log(4) / 2), 0.5).mean()
    assert loss["clustering"].item() == pytest.approx(np.mean(entropies), abs=1e-4)
    assert loss["separation"].item() == pytest.approx(separation, abs=1e-4)
    assert loss["loss"].item() == pytest.approx(0.05 * (np.mean(entropies) + separation), abs=1e-4)


# CoCoOp


def test_cocoops_prompts_depend_on_the_image(build):
    trainer = build("DATASET.NUM_SHOTS", "3", trainer="CoCoOp")
    model, images = trainer.model, next(iter(trainer.test_loader))["img"][:3]
    together = model(images)
    for i in range(3):  # an image's prompts do not depend on its batch
        torch.testing.assert_close(model(images[i : i + 1])[0], together[i], atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        for parameter in model.meta_net.parameters():
            parameter.zero_()
    plain = build(trainer="ZeroshotCLIP")
    torch.testing.assert_close(model(images), plain.model(images), atol=1e-5, rtol=1e-4)


# UEO's ablations


@pytest.mark.parametrize("options", [
    ("DOUBT", "linear"), ("DOUBT", "exponential"), ("OBJECTIVE", "difference"), ("REFRESH", "True"),
    ("CTX_FP32", "True"), ("TEMPERATURE", "0.01"), ("TUNE", "prompt+visual_prompt"),
    ("SCHEDULE", "inverse"),
])
def test_each_ablation_is_an_option(toy, options):
    key, value = options
    status, folder = toy("ablation", f"TRAINER.UEO.{key}", value, "OPTIM.LR", "0.01", kind="vit")
    _, plain = toy("plain", "OPTIM.LR", "0.01", kind="vit")
    assert status == 0
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (folder, plain))
    assert (a != b).any() != (key == "CTX_FP32")  # on a CPU everything is fp32


def test_refreshed_weights_come_from_the_current_model(build):
    trainer = build("TRAINER.UEO.REFRESH", "True", "OPTIM.LR", "0.05")
    trainer.train()
    trainer.epoch = 1
    old = trainer.weight
    trainer.before_epoch()
    assert (trainer.weight - old).abs().max() > 0
    with torch.no_grad():
        batch = next(iter(trainer.unlabelled_loader))
        expected = trainer.model(batch["img"]).softmax(-1).max(-1).values
    torch.testing.assert_close(trainer.weight[batch["index"]], expected)


def test_a_visual_prompt_needs_tokens(toy, capsys):
    assert toy("x", "TRAINER.UEO.TUNE", "visual_prompt", kind="rn")[0] == 2
    assert "needs a ViT" in capsys.readouterr().err


def test_only_the_visual_prompt_moves(build):
    trainer = build("TRAINER.UEO.TUNE", "visual_prompt", "OPTIM.LR", "0.1", kind="vit")
    before = {n: t.clone() for n, t in trainer.model.state_dict().items()}
    trainer.train()
    after = trainer.model.state_dict()
    assert {n for n in before if not torch.equal(before[n], after[n])} == {"visual_prompt"}
    assert before["visual_prompt"].shape == (8, 64)


def test_the_inverse_schedule(build):
    options = ("TRAINER.UEO.SCHEDULE", "inverse", "TRAINER.UEO.DECAY", "10")
    trainer = build(*options, "OPTIM.LR", "0.01")
    trainer.train()
    total = 2 * len(trainer.train_loader_x)
    assert trainer.sched.last_epoch == total
    assert trainer.optim.param_groups[0]["lr"] == pytest.approx(0.01 * 11 ** -0.75)
