"""MARS: its targets image by image, its two stages, and runs interrupted in each of them."""

import numpy as np
import pytest
import torch

from ueo.pseudo_labels import moved_back
from ueo.trainers.mars import MARS


def by_hand(prob, zero_shot, similarity):
    """The formulas of the paper, one image and one class after the other."""
    images, classes = prob.shape
    own = zero_shot.argmax(1)
    gain, doubted = np.zeros_like(prob), np.zeros_like(prob)
    for i in range(images):
        for j in range(classes):
            gain[i, j] = max(prob[i, j] - zero_shot[i, j], 0)
            doubted[i, j] = similarity[i, own[i]] > similarity[i, j]
        now = prob[i].argmax()
        if now != own[i] and similarity[i, now] > similarity[i, own[i]]:
            doubted[i] = 0
    targets = prob.copy()
    for i in range(images):
        same = own == own[i]
        for j in range(classes):
            whole = gain[same, j].sum()
            share = (gain * doubted)[same, j].sum() / whole if whole else 0
            moved = share * doubted[i, j] * gain[i, j]
            targets[i, j] -= moved
            targets[i, own[i]] += moved
    return targets


def example(images=40, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    prob, zero_shot = rng.dirichlet(np.full(classes, 0.5), (2, images))
    return prob, zero_shot, rng.normal(size=(images, classes))


def test_targets_equal_the_papers():
    prob, zero_shot, similarity = example()
    zero_shot[:, 3] = 0  # a class that the zero-shot model predicts for no image
    zero_shot /= zero_shot.sum(1, keepdims=True)
    prob[:4] = zero_shot[:4]  # the model changed nothing here
    found = moved_back(*map(torch.from_numpy, (prob, zero_shot, similarity))).numpy()
    expected = by_hand(prob, zero_shot, similarity)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (expected != prob).any(1).sum() > 10, "the example must move something"
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    assert (found >= 0).all() and (found[:4] == prob[:4]).all()


def test_a_change_that_features_support_is_kept():
    prob, zero_shot = torch.tensor([[0.1, 0.7, 0.2]]), torch.tensor([[0.6, 0.3, 0.1]])
    near_the_new, near_the_old = torch.tensor([[0.5, 0.9, 0.1]]), torch.tensor([[0.9, 0.5, 0.1]])
    torch.testing.assert_close(moved_back(prob, zero_shot, near_the_new), prob)
    torch.testing.assert_close(moved_back(prob, zero_shot, near_the_old), zero_shot)


def parameters(trainer) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for g in trainer.groups.values() for n, p in g.items()}


def test_the_first_stage_trains_the_model_and_the_second_its_adapter(build):
    trainer = build("OPTIM.LR", "0.02", "OPTIM.MOMENTUM", "0.9", "TRAINER.MARS.FIRST_STAGE", "0.6",
                    trainer="MARS", kind="vit", epochs=3)
    states, targets, start = [parameters(trainer)], [], trainer.before_epoch

    def watched():
        start()
        targets.append(trainer.targets.clone())

    after = trainer.after_epoch
    trainer.before_epoch = watched
    trainer.after_epoch = lambda: (states.append(parameters(trainer)), after())
    trainer.train()
    moved = [{name for name in a if not torch.equal(a[name], b[name])}
             for a, b in zip(states, states[1:])]
    assert trainer.first_epochs == 2
    assert moved[0] == moved[1] == set(states[0]) - {"adapter.change"}
    assert moved[2] == {"adapter.change"}
    torch.testing.assert_close(targets[0], trainer.zero_shot)
    features = trainer.passes.image_features(trainer.unlabelled_loader, "unlabelled")
    with torch.no_grad():  # the teacher's, which did not change
        logits = trainer.model.logit_scale * features @ trainer.model.class_features().T
    torch.testing.assert_close(targets[2], logits.softmax(-1))
    assert (targets[1] - targets[0]).abs().max() > 1e-4 < (targets[2] - targets[1]).abs().max()


def test_the_second_stage_is_divergence_and_cross_entropy(build):
    trainer = build("TRAINER.MARS.FIRST_STAGE", "0.0", "TRAINER.MARS.KL_WEIGHT", "0.3",
                    trainer="MARS", kind="vit")
    trainer.before_train()
    trainer.epoch = 0
    trainer.before_epoch()
    batch = next(iter(trainer.train_loader_x))
    with torch.no_grad():
        trainer.model.adapter.change.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
        found = trainer.loss(batch)
        features = trainer.model.image_features(batch["img"]).double().numpy()
        classes = trainer.model.class_features().double().numpy()
    classes = classes + classes @ trainer.model.adapter.change.detach().double().numpy().T
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    student = np.exp(trainer.model.logit_scale * features @ classes.T)
    student /= student.sum(1, keepdims=True)
    teacher = trainer.zero_shot[batch["index"]].double().numpy()
    divergence = (teacher * np.log(teacher / student)).sum(1).mean()
    hard = -np.log(student[np.arange(len(student)), teacher.argmax(1)]).mean()
    assert found["divergence"].item() == pytest.approx(divergence, rel=1e-4)
    assert found["loss"].item() == pytest.approx(0.3 * divergence + 0.7 * hard, rel=1e-4)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_interrupted_in_either_stage_resumes_to_the_same_numbers(
        toy, build, monkeypatch, tmp_path, epoch):
    options = ("OPTIM.LR", "0.02", "OPTIM.MOMENTUM", "0.9", "TRAINER.MARS.FIRST_STAGE", "0.5")
    _, whole = toy("whole", *options, trainer="MARS", kind="vit", epochs=4)
    start = MARS.before_epoch

    def killed(trainer):
        if trainer.epoch == epoch:
            raise KeyboardInterrupt
        start(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(MARS, "before_epoch", killed)
        assert toy("broken", *options, trainer="MARS", kind="vit", epochs=4)[0] != 0
    status, broken = toy("broken", *options, trainer="MARS", kind="vit", epochs=4)
    assert status == 0
    first, second = (np.load(folder / "outputs.npz") for folder in (whole, broken))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert (first["test_scores_before"] != first["test_scores_after"]).all()
