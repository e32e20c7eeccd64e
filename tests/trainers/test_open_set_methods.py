"""UniEnt and CLIPTTA: which images they treat as known, and what CLIPTTA's memory holds."""

import pytest
import torch

from ueo.open_set import upper_share


def prepared(build, name: str, *options: str):
    trainer = build(*options, trainer=name)
    trainer.before_train()
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    return trainer


def test_unient_splits_images_by_the_zero_shot_models_largest_cosine(build):
    hard, soft = (prepared(build, name) for name in ("UniEnt", "UniEntPlus"))
    largest = hard.passes.unlabelled_cosines().amax(1)
    share = torch.from_numpy(upper_share(largest.numpy())).float()
    assert torch.equal(soft.known, share) and torch.equal(hard.known, (share >= 0.5).float())
    assert hard.notes["split"]["known"] == pytest.approx(hard.known.mean().item())
    other = prepared(build, "UniEntPlus", "TRAINER.UniEntPlus.SPLIT", "msp")
    assert not torch.equal(other.known, soft.known)


def test_unient_names_its_own_option_of_batch_statistics(toy, capsys):
    status, _ = toy("x", "TRAINER.UniEnt.BATCH_STATS", "True", trainer="UniEnt", kind="vit")
    assert status == 2 and "TRAINER.UniEnt.BATCH_STATS: this backbone has no BatchNorm" in (
        capsys.readouterr().err)


def test_cliptta_remembers_the_best_known_images_of_each_predicted_class(build):
    trainer = prepared(build, "CLIPTTA", "TRAINER.CLIPTTA.MEMORY", "3")
    known = trainer.predicted >= 0
    assert 0 < known.sum() < len(known)
    assert trainer.scores[known].min() > trainer.scores[~known].max()
    for label in trainer.predicted[known].unique():
        members = (trainer.predicted == label).nonzero()[:, 0]
        best = members[trainer.scores[members].argsort(descending=True)[:3]]
        assert set(trainer.memory.chosen) & set(members.tolist()) == set(best.tolist())
    assert not set(trainer.memory.chosen) & set((~known).nonzero()[:, 0].tolist())


def test_clipttas_memory_uses_the_last_scores_of_images(build):
    trainer = prepared(build, "CLIPTTA", "OPTIM.LR", "0.5")
    start, memory = trainer.scores.clone(), list(trainer.memory.chosen)
    batch = next(iter(trainer.train_loader_x))
    trainer.forward_backward(batch)
    moved = (trainer.scores != start).nonzero()[:, 0].tolist()
    assert moved == sorted(batch["index"].tolist())
    assert trainer.memory.chosen == memory  # until the next epoch
    trainer.scores.zero_()
    trainer.predicted.fill_(-1)
    trainer.predicted[7], trainer.epoch = 2, 1
    trainer.before_epoch()
    assert trainer.memory.chosen == [7]
    assert set(next(trainer._draws)["index"].tolist()) == {7}


def test_in_a_closed_set_every_image_is_known_to_cliptta(build):
    trainer = prepared(build, "CLIPTTA", "TRAINER.CLIPTTA.OPEN_SET", "False",
                       "TRAINER.CLIPTTA.MEMORY", "0")
    losses = trainer.forward_backward(next(iter(trainer.train_loader_x)))
    assert (trainer.predicted >= 0).all() and "outliers" not in losses
    assert losses["loss"] == losses["contrastive"] + losses["marginal"]
