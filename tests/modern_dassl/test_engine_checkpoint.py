"""Foreign checkpoints: genuine Dassl's are read, hostile ones refused, and no code is executed."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import (
    CheckpointReadError,
    ConfigValueError,
    MissingFileError,
    load_checkpoint,
    load_pretrained_weights,
    resume_from_checkpoint,
    save_checkpoint,
)
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR


def parts(*pairs):
    """Model, optimizer and scheduler with a warm-up of one epoch."""
    cfg = get_cfg_default()
    base = ["OPTIM.NAME", "sgd", "OPTIM.LR", 0.1, "OPTIM.LR_SCHEDULER", "cosine",
            "OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "constant"]
    cfg.merge_from_list([*base, *pairs])
    model = nn.Linear(2, 1)
    optimizer = build_optimizer(model, cfg.OPTIM)
    return model, optimizer, build_lr_scheduler(optimizer, cfg.OPTIM)


def train(model, optimizer, scheduler, epochs):
    seen = []
    for _ in range(epochs):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()
        seen.append(optimizer.param_groups[0]["lr"])
    return seen


def genuine_state(model, optimizer, scheduler, epoch):
    """What genuine Dassl writes: the scheduler's state holds the successor, an object."""
    state = {k: v for k, v in vars(scheduler).items() if k != "optimizer"}
    assert isinstance(state["successor"], CosineAnnealingLR | MultiStepLR)
    return {
        "state_dict": model.state_dict(),
        "epoch": epoch,
        "optimizer": optimizer.state_dict(),
        "scheduler": state,
        "val_result": np.float64(62.5),
    }


@pytest.mark.parametrize("schedule", ["cosine", "multi_step"])
def test_genuine_checkpoint_is_continued(tmp_path, schedule):
    pairs = ["OPTIM.LR_SCHEDULER", schedule, "OPTIM.STEPSIZE", (1, 4)]
    unbroken = parts(*pairs)
    first = unbroken[0].state_dict()
    first = {k: v.clone() for k, v in first.items()}
    train(*unbroken, 3)
    torch.save(genuine_state(*unbroken, 3), tmp_path / "model.pth.tar-3")
    (tmp_path / "checkpoint").write_text("model.pth.tar-3\n")
    expected = train(*unbroken, 4)

    resumed = parts(*pairs)
    assert resume_from_checkpoint(str(tmp_path), *resumed) == 3
    assert train(*resumed, 4) == expected
    assert torch.equal(resumed[0].weight, unbroken[0].weight)
    assert load_checkpoint(str(tmp_path / "model.pth.tar-3"))["val_result"] == 62.5


def test_unknown_class_is_not_loaded(tmp_path):
    module = types.ModuleType("someones_scheduler")
    module.Mine = type("Mine", (), {"__module__": "someones_scheduler"})
    sys.modules["someones_scheduler"] = module
    mine = module.Mine()
    mine.last_epoch = 4
    torch.save({"state_dict": {}, "scheduler": mine}, tmp_path / "file")
    del sys.modules["someones_scheduler"]
    assert load_checkpoint(str(tmp_path / "file"))["scheduler"] == {"last_epoch": 4}


class Hostile:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("function", [os.system, eval, os.mkdir])
def test_hostile_checkpoint_is_refused(tmp_path, function, legacy):
    marker = tmp_path / "marker"
    command = {os.system: f"touch {marker}", eval: f"open({str(marker)!r}, 'w')"}
    hostile = Hostile(function, command.get(function, str(marker)))
    path = tmp_path / "file"
    state = {"state_dict": {}, "scheduler": hostile}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointReadError, match="refused, it names"):
        load_checkpoint(str(path))
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_hostile_bare_pickle_is_refused(tmp_path):
    path, marker = tmp_path / "file", tmp_path / "marker"
    path.write_bytes(pickle.dumps(Hostile(os.system, f"touch {marker}")))
    with pytest.raises(CheckpointReadError):
        load_checkpoint(str(path))
    assert not marker.exists()


def test_storage_loader_is_not_called(tmp_path):
    """torch's own unpickling helper would run a pickle inside the pickle."""
    marker = tmp_path / "marker"
    inner = tmp_path / "inner"
    torch.save(Hostile(os.system, f"touch {marker}"), inner)
    hostile = Hostile(torch.storage._load_from_bytes, inner.read_bytes())
    torch.save({"state_dict": {}, "scheduler": hostile}, tmp_path / "file")
    load_checkpoint(str(tmp_path / "file"))
    assert not marker.exists()


def test_wrong_paths(tmp_path):
    with pytest.raises(ConfigValueError):
        load_checkpoint(None)
    with pytest.raises(MissingFileError, match="no such checkpoint"):
        load_checkpoint(str(tmp_path / "nothing"))
    (tmp_path / "checkpoint").write_text("model.pth.tar-3\n")
    with pytest.raises(FileNotFoundError, match="checkpoint names it"):
        resume_from_checkpoint(str(tmp_path), nn.Linear(1, 1))


def test_layout_and_names(tmp_path):
    model = nn.Linear(2, 1)
    state = {"state_dict": {"module.weight": model.weight, "module.bias": model.bias}, "epoch": 5}
    save_checkpoint(state, str(tmp_path), is_best=True)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["checkpoint", "model-best.pth.tar", "model.pth.tar-5"]
    other = nn.Linear(2, 1)
    assert resume_from_checkpoint(str(tmp_path), other) == 5
    assert torch.equal(other.weight, model.weight)


def test_pretrained_weights_that_fit(tmp_path, capsys):
    model = nn.Linear(2, 1)
    torch.save({"module.weight": torch.ones(1, 2), "bias": torch.ones(9)}, tmp_path / "w")
    load_pretrained_weights(model, str(tmp_path / "w"))
    assert torch.equal(model.weight, torch.ones(1, 2))
    assert "bias" in capsys.readouterr().out
    torch.save({"other": torch.ones(1)}, tmp_path / "w")
    with pytest.warns(UserWarning, match="nothing was loaded"):
        load_pretrained_weights(model, str(tmp_path / "w"))
