"""A run that is interrupted and resumed ends like an uninterrupted one, bit for bit."""

import shutil

import pytest
import torch
from dassl.engine import TRAINER_REGISTRY, build_trainer
from dassl.utils import (
    CheckpointReadError,
    MissingFileError,
    load_checkpoint,
    save_checkpoint,
    set_random_seed,
)


def run(cfg, until=None):
    """Train; stop after `until` epochs as a killed process would. Returns the trainer."""
    set_random_seed(3)
    trainer = build_trainer(cfg)
    if until is not None:
        finish_epoch = trainer.after_epoch

        def stop():
            finish_epoch()
            if trainer.epoch + 1 == until:
                raise KeyboardInterrupt

        trainer.after_epoch = stop
    try:
        trainer.train()
    except KeyboardInterrupt:
        pass
    return trainer


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


OPTIONS = {
    "constant": [],
    "linear": ["OPTIM.WARMUP_TYPE", "linear", "OPTIM.NAME", "adam"],
    "multi_step": ["OPTIM.LR_SCHEDULER", "multi_step", "OPTIM.STEPSIZE", (1, 3)],
    "best_val": ["TEST.FINAL_MODEL", "best_val", "OPTIM.WARMUP_EPOCH", -1],
    "recount": ["OPTIM.WARMUP_RECOUNT", False],
    "two_loaders": ["TRAINER.NAME", "LinearXU", "TRAIN.COUNT_ITER", "train_x"],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_broken_run_equals_unbroken(make_cfg, tmp_path, name):
    options = [*OPTIONS[name], "TRAIN.CHECKPOINT_FREQ", 1]
    unbroken = run(make_cfg(*options))
    # at every epoch's end; for the variants once in the warm-up and once after it, to save time
    for until in (1, 2, 3, 4, 5) if name == "constant" else (1, 3):
        folder = str(tmp_path / f"broken{until}")
        broken = run(make_cfg(*options, "OUTPUT_DIR", folder), until)
        resumed = run(make_cfg(*options, "OUTPUT_DIR", folder, "RESUME", folder))
        assert torch.equal(weights(resumed), weights(unbroken))
        assert broken.rates + resumed.rates == unbroken.rates
        assert resumed.best_result == unbroken.best_result


def test_a_trainer_with_a_save_model_of_its_own(make_cfg, tmp_path, monkeypatch):
    """As repositories write it, to store what Dassl's stores: weights, optimiser and schedule."""

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name=""):
        parts = {"state_dict": self._models, "optimizer": self._optims, "scheduler": self._scheds}
        state = {part: objects["linear"].state_dict() for part, objects in parts.items()}
        save_checkpoint({**state, "epoch": epoch + 1}, f"{directory}/linear", is_best)

    monkeypatch.setattr(TRAINER_REGISTRY.get("LinearX"), "save_model", save_model)
    options = ["OPTIM.MAX_EPOCH", 3, "TRAIN.CHECKPOINT_FREQ", 1]
    unbroken, folder = run(make_cfg(*options)), str(tmp_path / "broken")
    run(make_cfg(*options, "OUTPUT_DIR", folder), until=2)
    resumed = run(make_cfg(*options, "OUTPUT_DIR", folder, "RESUME", folder))
    assert torch.equal(weights(resumed), weights(unbroken))


def test_broken_run_with_workers(make_cfg, tmp_path):
    options = ["DATALOADER.NUM_WORKERS", 2, "OPTIM.MAX_EPOCH", 2, "TRAIN.CHECKPOINT_FREQ", 1]
    unbroken, folder = run(make_cfg(*options)), str(tmp_path / "broken")
    run(make_cfg(*options, "OUTPUT_DIR", folder), until=1)
    resumed = run(make_cfg(*options, "OUTPUT_DIR", folder, "RESUME", folder))
    assert torch.equal(weights(resumed), weights(unbroken))


def test_scaler_is_resumed(make_cfg, tmp_path):
    class Scaler:
        scale = 1.0

        def state_dict(self):
            return {"scale": self.scale}

        def load_state_dict(self, state):
            self.scale = state["scale"]

    trainer = build_trainer(make_cfg())
    trainer.scaler = Scaler()
    trainer.scaler.scale = 8.0
    trainer.save_model(0, str(tmp_path))
    trainer.scaler.scale = 1.0
    assert trainer.resume_model_if_exist(str(tmp_path)) == 1
    assert trainer.scaler.scale == 8.0


@pytest.mark.parametrize("frequency, kept", [(0, [5]), (2, [2, 4, 5]), (5, [5])])
def test_which_epochs_leave_a_checkpoint(make_cfg, tmp_path, frequency, kept):
    options = ("OPTIM.MAX_EPOCH", 5, "TRAIN.CHECKPOINT_FREQ", frequency, "TEST.NO_TEST", True)
    run(make_cfg(*options))
    names = sorted(path.name for path in (tmp_path / "run" / "linear").glob("model*"))
    assert names == [f"model.pth.tar-{epoch}" for epoch in kept]


def test_of_equally_good_epochs_the_first_is_the_best(make_cfg, tmp_path, monkeypatch):
    trainer = build_trainer(make_cfg("OPTIM.MAX_EPOCH", 4, "TEST.FINAL_MODEL", "best_val"))
    results = iter([30.0, 50.0, 40.0, 50.0, 50.0])
    monkeypatch.setattr(trainer, "test", lambda split=None: next(results))
    trainer.train()
    best = load_checkpoint(str(tmp_path / "run" / "linear" / "model-best.pth.tar"))
    assert (best["epoch"], best["val_result"]) == (2, 50.0)


@pytest.mark.parametrize("best_is_there", [True, False])
def test_the_best_model_goes_along_to_another_folder(
    make_cfg, tmp_path, monkeypatch, capsys, best_is_there
):
    """The second run chooses between its own epoch and the best one of the first."""
    options = ("TEST.FINAL_MODEL", "best_val", "TRAIN.CHECKPOINT_FREQ", 1)
    results = iter([50.0, 0.0, 30.0, 0.0])  # validation, test; validation, test
    trainer = TRAINER_REGISTRY.get("LinearX")
    monkeypatch.setattr(trainer, "test", lambda self, split=None: next(results))
    run(make_cfg(*options, "OPTIM.MAX_EPOCH", 1))
    first, second = tmp_path / "run/linear", tmp_path / "second/linear"
    if not best_is_there:
        (first / "model-best.pth.tar").unlink()
    elsewhere = ("OUTPUT_DIR", str(second.parent), "RESUME", str(first.parent))
    run(make_cfg(*options, *elsewhere, "OPTIM.MAX_EPOCH", 2))
    best = load_checkpoint(str(second / "model-best.pth.tar"))
    assert (best["epoch"], best["val_result"]) == ((1, 50.0) if best_is_there else (2, 30.0))
    assert ("is not in" in capsys.readouterr().out) != best_is_there


def test_pointer_follows_the_last_epoch_not_the_best(make_cfg, tmp_path):
    trainer = build_trainer(make_cfg())
    trainer.save_model(1, str(tmp_path))
    trainer.save_model(2, str(tmp_path), val_result=50.0, model_name="model-best.pth.tar")
    folder = tmp_path / "linear"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["checkpoint", "model-best.pth.tar", "model.pth.tar-2"]
    assert (folder / "checkpoint").read_text() == "model.pth.tar-2\n"


def test_checkpoint_is_plain_data(make_cfg, tmp_path):
    run(make_cfg("OPTIM.MAX_EPOCH", 1))
    found = torch.load(tmp_path / "run/linear/model.pth.tar-1", weights_only=True)
    assert found["epoch"] == 1
    assert {"state_dict", "optimizer", "scheduler", "val_result", "random_states"} <= set(found)


def test_no_resume_unless_asked(make_cfg, tmp_path, capsys):
    first = run(make_cfg("OPTIM.MAX_EPOCH", 1))
    again = run(make_cfg("OPTIM.MAX_EPOCH", 1))
    assert again.start_epoch == 0
    assert torch.equal(weights(first), weights(again))


def test_wrong_resume_path(make_cfg, tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint to resume from"):
        run(make_cfg("RESUME", str(tmp_path / "nowhere")))


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_damaged_checkpoint_is_named(make_cfg, tmp_path, damage):
    run(make_cfg("OPTIM.MAX_EPOCH", 1))
    path = tmp_path / "run/linear/model.pth.tar-1"
    content = {"cut": path.read_bytes()[:500], "text": b"no checkpoint", "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(CheckpointReadError, match="model.pth.tar-1: not a checkpoint"):
        run(make_cfg("RESUME", str(tmp_path / "run")))


def test_checkpoint_of_another_model_is_named(make_cfg, tmp_path):
    run(make_cfg("OPTIM.MAX_EPOCH", 1))
    path = tmp_path / "run/linear/model.pth.tar-1"
    found = load_checkpoint(str(path))
    found["state_dict"]["weight"] = torch.zeros(2, 2)
    torch.save(found, path)
    with pytest.raises(CheckpointReadError, match="model.pth.tar-1: its state_dict does not fit"):
        run(make_cfg("RESUME", str(tmp_path / "run")))


def test_checkpoint_with_another_scheduler_is_refused(make_cfg, tmp_path):
    run(make_cfg("OPTIM.MAX_EPOCH", 1))
    with pytest.raises(CheckpointReadError, match="with a warm-up, this run's has none"):
        run(make_cfg("OPTIM.WARMUP_EPOCH", -1, "RESUME", str(tmp_path / "run")))


def test_load_model_takes_best_then_last(make_cfg, tmp_path):
    trainer = run(make_cfg("OPTIM.MAX_EPOCH", 2, "TRAIN.CHECKPOINT_FREQ", 1))
    expected = weights(trainer).clone()
    folder = tmp_path / "run"
    trainer.load_model(str(folder), epoch=1)
    first = weights(trainer).clone()
    assert not torch.equal(first, expected)
    trainer.load_model(str(folder))
    assert torch.equal(weights(trainer), expected)
    shutil.copy(folder / "linear/model.pth.tar-1", folder / "linear/model-best.pth.tar")
    trainer.load_model(str(folder))
    assert torch.equal(weights(trainer), first)
    with pytest.raises(MissingFileError, match="model.pth.tar-9: no such model"):
        trainer.load_model(str(folder), epoch=9)


def test_models_saved_by_a_killed_run_are_of_one_epoch(make_cfg, tmp_path):
    trainer = build_trainer(make_cfg())
    second = torch.nn.Linear(1, 1)
    trainer.register_model("second", second)
    trainer.save_model(0, str(tmp_path))
    first = weights(trainer).clone()
    with torch.no_grad():
        trainer.model.weight.add_(1)
    trainer._models.pop("second")
    trainer.save_model(1, str(tmp_path))  # killed before the second model was saved
    trainer._models["second"] = second
    assert trainer.resume_model_if_exist(str(tmp_path)) == 1
    assert torch.equal(weights(trainer), first)


def test_file_without_an_epoch_is_named(make_cfg, tmp_path):
    trainer = build_trainer(make_cfg())
    (tmp_path / "linear").mkdir()
    torch.save({"state_dict": {}}, tmp_path / "linear" / "model-best.pth.tar")
    with pytest.raises(CheckpointReadError, match="holds no epoch"):
        trainer.load_model(str(tmp_path))
