"""The same seed gives the same numbers, another seed gives others, and none is mixed up."""

import json

import numpy as np
import pytest
import torch
from conftest import read


def scores(folder):
    return np.load(folder / "outputs.npz")["test_scores_after"]


@pytest.mark.parametrize("trainer, options", [
    ("UEO", ()),  # the order of images and their crops
    ("UPL", ("TRAINER.UPL.CTX_INIT", "", "TRAINER.UPL.N_CTX", "3")),  # and the context
    ("CoOp", ("DATASET.NUM_SHOTS", "3")),  # and the shots
])
def test_each_seed_gives_its_own_numbers(toy, trainer, options):
    options = (*options, "OPTIM.LR", "0.05")
    found = {}
    for seed in (0, 1, 7):
        status, folder = toy(f"seed{seed}", *options, trainer=trainer, seed=seed, epochs=1)
        assert status == 0 and read(folder)["seed"] == read(folder)["config"]["SEED"] == seed
        found[seed] = scores(folder)
        others = [found[other] for other in found if other != seed]
        assert not any(np.array_equal(found[seed], other) for other in others)
    _, again = toy("again", *options, trainer=trainer, seed=7, epochs=1)
    np.testing.assert_array_equal(scores(again), found[7])


def test_a_finished_run_is_not_taken_for_another(toy, capsys):
    status, folder = toy("run", epochs=1)
    assert status == 0
    before = (folder / "result.json").read_bytes()
    for what in ({"seed": 2}, {"setting": "open_partial"}, {"trainer": "InfoMax"}, {"epochs": 2}):
        assert toy("run", **{"epochs": 1, **what})[0] == 2
        assert "--overwrite" in capsys.readouterr().err
    for option, value in (
        ("OPTIM.LR", "0.02"), ("DATASET.PROTOCOL", "independent"), ("DATASET.BAD_IMAGES", "skip"),
        ("TRAINER.UEO.WEIGHTING", "uniform"), ("DATALOADER.TRAIN_X.BATCH_SIZE", "8"),
        ("INPUT.RRCROP_SCALE", "(0.9, 1.0)"), ("INPUT.INTERPOLATION", "bilinear"),
        ("INPUT.TRANSFORMS", "('normalize',)"), ("TRAINER.UEO.CTX_INIT", "a"),
    ):
        assert toy("run", option, value, epochs=1)[0] == 2
        assert option in capsys.readouterr().err
    assert (folder / "result.json").read_bytes() == before


def test_overwriting_trains_again_from_the_start(toy):
    _, folder = toy("run")
    first = read(folder)
    (folder / "result.json").write_text(json.dumps({**first, "wall_seconds": 1e9}))
    assert toy("run")[0] == 0 and read(folder)["wall_seconds"] == 1e9
    assert toy("run", plugins=["--overwrite"])[0] == 0
    again = read(folder)
    assert again["wall_seconds"] < 1e9, "it was not run again"
    assert again["resumed_from_epoch"] == 0 and again["train_images_per_second"] > 0
    assert again["evaluations"] == first["evaluations"]


def test_random_initialisation_depends_on_the_seed_alone(build):
    """A published seed must give the same initialisation in every release."""
    def drawn(seed, shape):
        return torch.empty(shape).normal_(std=0.02, generator=torch.Generator().manual_seed(seed))

    options = ("TRAINER.UPL.CTX_INIT", "", "TRAINER.UPL.N_CTX", "3", "TRAINER.UPL.ENSEMBLE", "2")
    first, second = build(*options, trainer="UPL", seed=7).model.prompt.members()
    torch.testing.assert_close(first.ctx.data, drawn(7, first.ctx.shape))
    torch.testing.assert_close(second.ctx.data, drawn(1007, second.ctx.shape))
    adapter = build("DATASET.NUM_SHOTS", "2", trainer="TipAdapter", seed=7)._generator(3)
    assert adapter.initial_seed() == 3007


def test_each_epoch_has_its_own_order_of_images(build):
    trainer = build()
    orders = [[i for batch in trainer.train_loader_x for i in batch["index"].tolist()]
              for _ in range(3)]
    assert all(sorted(order) == sorted(orders[0]) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert orders[0] != sorted(orders[0])
