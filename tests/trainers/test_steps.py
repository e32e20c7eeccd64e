"""What every method inherits from base.py: rates, schedules, steps, random initialisation."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import read, trainer_names
from dassl.engine import TRAINER_REGISTRY

from ueo.pseudo_labels import train_on_confident
from ueo.settings.options import declared

KINDS = {name: TRAINER_REGISTRY.get(name) for name in trainer_names()}
SHOTS = ("DATASET.NUM_SHOTS", "3")


def options_of(name: str) -> tuple[str, ...]:
    return SHOTS if KINDS[name].uses_labels else ()


@pytest.mark.parametrize("name", [
    name for name, kind in KINDS.items()
    if not kind.training_free and declared(kind)["TUNE"].default != "adapter"
    and name != "CoCoOp"  # its network starts at random
])
def test_steps_of_length_zero_leave_the_zero_shot_model(toy, name):
    """Evaluations at the end give the same results as at the beginning."""
    status, folder = toy("run", "OPTIM.LR", "0.0", *options_of(name), trainer=name, epochs=1)
    assert status == 0
    found = np.load(folder / "outputs.npz")
    np.testing.assert_allclose(found["test_scores_after"], found["test_scores_before"], rtol=1e-6,
                               atol=3e-6)  # Midway's are cosines, some near 0
    np.testing.assert_array_equal(found["test_predictions_after"],
                                  found["test_predictions_before"])
    assert len(np.unique(found["test_predictions_after"])) == 4


def test_the_record_says_how_many_parameters_were_tuned(toy):
    _, folder = toy("run", kind="rn", epochs=1)
    # four context vectors of 64; weight and bias of the stem's norms (4, 4, 8) and of 4 blocks'
    blocks = sum(2 * (w + w + 4 * w) for w in (8, 16, 32, 64))
    assert read(folder)["counts"]["tuned_parameters"] == 4 * 64 + 2 * (4 + 4 + 8) + blocks


@pytest.mark.parametrize("tune, rates", [
    ("prompt+visual_affine", [0.02, 0.03]), ("prompt+visual_prompt", [0.02, 0.03]),
    ("visual+text", [0.01, 0.01]),
])
def test_each_part_has_its_own_rate(build, tune, rates):
    trainer = build("TRAINER.UEO.TUNE", tune, "OPTIM.LR", "0.01", "TRAINER.UEO.PROMPT_LR", "0.02",
                    "TRAINER.UEO.VISUAL_LR", "0.03", kind="vit")
    assert [group["lr"] for group in trainer.optim.param_groups] == rates


def test_the_schedule_of_epochs_is_dassls(build):
    trainer = build("TRAINER.UEO.SCHEDULE", "epoch", "OPTIM.LR", "0.02", "OPTIM.LR_SCHEDULER",
                    "cosine", "OPTIM.WARMUP_EPOCH", "1", "OPTIM.WARMUP_TYPE", "constant",
                    "OPTIM.WARMUP_CONS_LR", "0.005", epochs=4)
    rates, step = [], trainer.model_update
    trainer.model_update = lambda *a: (rates.append(trainer.get_current_lr()), step(*a))
    trainer.train()
    batches = len(trainer.train_loader_x)
    assert batches > 1 and len(rates) == 4 * batches
    cosine = [0.01 * (1 + math.cos(math.pi * epoch / 4)) for epoch in range(3)]
    expected = [rate for rate in (0.005, *cosine) for _ in range(batches)]
    np.testing.assert_allclose(rates, expected, atol=1e-12)


@pytest.mark.parametrize("frequency, looked_at", [(2, 4), (100, 6)])
def test_a_loss_that_is_not_finite_ends_the_run_and_its_step_is_named(build, frequency, looked_at):
    """Losses are checked when they are printed, and at the latest before a save."""
    trainer = build("TRAIN.PRINT_FREQ", str(frequency), "DATALOADER.TRAIN_X.BATCH_SIZE", "8")
    trainer.before_train()
    steps, loss = [], trainer.loss

    def broken(batch: dict) -> dict:
        steps.append(len(steps) + 1)
        return {n: v * float("nan" if len(steps) == 3 else 1) for n, v in loss(batch).items()}

    trainer.loss, trainer.epoch = broken, 0
    trainer.num_batches = 1000  # the last batch is never reached
    batches = iter(trainer.train_loader_x)
    with pytest.raises(FloatingPointError, match="infinite or NaN in epoch 1, batch 3"):
        for trainer.batch_idx, batch in enumerate(batches):
            trainer.forward_backward(batch)
        trainer.save_model(0, trainer.output_dir)
    assert steps[-1] == looked_at and not Path(trainer.output_dir, "tuned").exists()


class Unscaled:
    """A GradScaler that scales by one, since none is made without CUDA."""

    def scale(self, loss):
        return loss

    def step(self, optimizer):
        optimizer.step()

    def update(self):
        pass


@pytest.mark.parametrize("scaler", [None, Unscaled()])
def test_gradients_of_a_step_are_its_own(build, scaler):
    trainer = build("OPTIM.LR", "0.0")
    trainer.before_train()
    trainer.scaler, trainer.epoch, trainer.batch_idx = scaler, 0, 0
    trainer.num_batches = len(trainer.train_loader_x)
    batch = next(iter(trainer.train_loader_x))
    gradients = []
    for _ in range(2):
        trainer.forward_backward(batch)
        gradients.append(trainer.model.prompt.ctx.grad.clone())
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)


def state(trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for g in trainer.groups.values() for p in g.values()])


@pytest.mark.parametrize("name, options", [
    ("UPL", ("TRAINER.UPL.CTX_INIT", "", "TRAINER.UPL.N_CTX", "3")),
    ("UEO", ("TRAINER.UEO.TUNE", "visual_prompt")),
    ("CLIPAdapter", SHOTS), ("CoCoOp", SHOTS),
])
def test_random_initialisation_follows_the_seed(build, name, options):
    starts = []
    for seed in (1, 1, 2):
        trainer = build(*options, trainer=name, seed=seed, kind="vit")
        if name == "CLIPAdapter":
            trainer.prepare(None)
        starts.append(state(trainer))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def test_a_random_context_has_as_many_vectors_as_asked(build):
    trainer = build(*SHOTS, "TRAINER.CoOp.CTX_INIT", "", "TRAINER.CoOp.N_CTX", "7", trainer="CoOp")
    assert trainer.model.prompt.ctx.shape[0] == 7


def test_pseudo_labels_are_chosen_by_the_models_own_probability():
    """Scaled logits rank the second image first, cosines the first one."""
    cosines = torch.tensor([[0.30, 0.29, 0.0], [0.30, 0.25, 0.25], [0.1, 0.0, 0.2]])
    chosen = []

    class Trainer:
        device, notes = "cpu", {}
        model = type("Model", (), {"logit_scale": 100.0})
        dm = type("Manager", (), {"dataset": type("Data", (), {"classnames": ["a", "b", "c"]})})
        train_on = staticmethod(chosen.extend)

    pseudo = train_on_confident(Trainer(), cosines, 1)
    assert pseudo.tolist() == [-1, 0, 2] and chosen == [1, 2]
    assert Trainer.notes == {"selected": 2, "empty_classes": ["b"]}


def test_dances_memory_is_a_moving_average_with_the_given_momentum(build):
    trainer = build("TRAINER.DANCE.MOMENTUM", "0.75", trainer="DANCE")
    trainer.before_train()
    batch = next(iter(trainer.train_loader_x))
    index, old = batch["index"], trainer.memory.clone()
    with torch.no_grad():
        new = trainer.model.image_features(batch["img"])
    trainer.epoch = trainer.batch_idx = 0
    trainer.num_batches = len(trainer.train_loader_x)
    trainer.forward_backward(batch)
    expected = torch.nn.functional.normalize(0.75 * old[index] + 0.25 * new, dim=1)
    torch.testing.assert_close(trainer.memory[index], expected)
    assert (trainer.memory[index] - new).abs().max() > 1e-4


def test_a_cache_has_views_that_differ(build):
    keys = []
    for views in ("1", "2", "3"):
        trainer = build(*SHOTS, "TRAINER.TipAdapter.VIEWS", views, trainer="TipAdapter")
        trainer.before_train()
        keys.append(trainer.model.adapter.keys.detach())
    assert (keys[0] - keys[1]).abs().max() > 1e-3 and (keys[1] - keys[2]).abs().max() > 1e-3


def test_batch_statistics_are_used_when_a_checkpoint_is_evaluated(toy, build):
    options = ("TRAINER.EntMin.BATCH_STATS", "True", "OPTIM.LR", "0.05")
    _, folder = toy("run", *options, trainer="EntMin")
    trainer = build(*options, trainer="EntMin")
    trainer.load_model(str(folder))
    trainer.test()
    found = trainer.evaluations.history[-1]["test"]
    assert found["auroc"] == pytest.approx(read(folder)["metrics"]["test"]["auroc"])
