"""Learning rates against closed formulas; the optimizer of each name."""

import math

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.optim.optimizer import AVAI_OPTIMS
from dassl.utils import ConfigTypeError, ConfigValueError
from dassl.utils.torchtools import adjust_learning_rate, set_bn_to_eval
from torch import nn

LR, EPOCHS = 0.002, 6


def options(*pairs):
    cfg = get_cfg_default()
    base = ["OPTIM.NAME", "sgd", "OPTIM.LR", LR, "OPTIM.MAX_EPOCH", EPOCHS]
    cfg.merge_from_list([*base, *pairs])
    return cfg.OPTIM


def rates(cfg, epochs=EPOCHS):
    """The rate that each epoch trains with."""
    model = nn.Linear(2, 2)
    optimizer = build_optimizer(model, cfg)
    scheduler = build_lr_scheduler(optimizer, cfg)
    seen = []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
        assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    return seen


def cosine(epoch):
    return LR * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2


def test_plain_schedules():
    by_cosine = rates(options("OPTIM.LR_SCHEDULER", "cosine"))
    assert by_cosine == pytest.approx([cosine(e) for e in range(EPOCHS)])
    single = rates(options("OPTIM.STEPSIZE", (2,), "OPTIM.GAMMA", 0.5))
    assert single == pytest.approx([LR * 0.5 ** (e // 2) for e in range(EPOCHS)])
    never = rates(options())  # STEPSIZE -1: once, after the last epoch
    assert never == [LR] * EPOCHS
    multi = rates(options("OPTIM.LR_SCHEDULER", "multi_step", "OPTIM.STEPSIZE", (1, 4)))
    assert multi == pytest.approx([LR] + [LR * 0.1] * 3 + [LR * 0.01] * 2)


@pytest.mark.parametrize("warm", [1, 3])
def test_warm_up_precedes_the_whole_schedule(warm):
    after = [cosine(e) for e in range(EPOCHS - warm)]
    pairs = ["OPTIM.LR_SCHEDULER", "cosine", "OPTIM.WARMUP_EPOCH", warm, "OPTIM.WARMUP_TYPE"]
    assert rates(options(*pairs, "constant")) == pytest.approx([1e-5] * warm + after)
    linear = [1e-5] + [LR * e / warm for e in range(1, warm)]
    assert rates(options(*pairs, "linear")) == pytest.approx(linear + after)


def test_warm_up_without_recount_goes_on_from_its_end():
    pairs = ["OPTIM.WARMUP_EPOCH", 2, "OPTIM.WARMUP_TYPE", "constant", "OPTIM.STEPSIZE", (3,)]
    seen = rates(options(*pairs, "OPTIM.WARMUP_RECOUNT", False))
    assert seen == pytest.approx([1e-5, 1e-5, LR, LR * 0.1, LR * 0.1, LR * 0.1])


def test_groups_keep_their_own_rates():
    model, cfg = nn.Linear(2, 2), options("OPTIM.WARMUP_EPOCH", 1)
    groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias]}]
    optimizer = build_optimizer(model, cfg, param_groups=groups)
    scheduler = build_lr_scheduler(optimizer, cfg)
    optimizer.step()
    scheduler.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.5, LR]


def test_state_is_plain_data(tmp_path):
    cfg = options("OPTIM.WARMUP_EPOCH", 2, "OPTIM.LR_SCHEDULER", "cosine")
    scheduler = build_lr_scheduler(build_optimizer(nn.Linear(2, 2), cfg), cfg)
    torch.save(scheduler.state_dict(), tmp_path / "state")
    assert torch.load(tmp_path / "state", weights_only=True)["successor"]["T_max"] == EPOCHS


@pytest.mark.parametrize("name", AVAI_OPTIMS)
def test_every_optimizer_steps(name):
    model, cfg = nn.Linear(2, 1), options("OPTIM.NAME", name)
    before = model.weight.detach().clone()
    optimizer = build_optimizer(model, cfg)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.weight)


@pytest.mark.parametrize("name, given", [
    ("sgd", {"MOMENTUM": 0.8, "WEIGHT_DECAY": 0.2, "SGD_DAMPNING": 1}),
    ("sgd", {"MOMENTUM": 0.8, "WEIGHT_DECAY": 0.2, "SGD_NESTEROV": True}),
    ("rmsprop", {"MOMENTUM": 0.8, "WEIGHT_DECAY": 0.2, "RMSPROP_ALPHA": 0.7}),
    *((name, {"WEIGHT_DECAY": 0.2, "ADAM_BETA1": 0.6, "ADAM_BETA2": 0.7})
      for name in ("adam", "amsgrad", "radam", "adamw")),
])
def test_options_reach_the_optimizer(name, given):
    pairs = [part for key, value in given.items() for part in (f"OPTIM.{key}", value)]
    (group,) = build_optimizer(nn.Linear(2, 1), options("OPTIM.NAME", name, *pairs)).param_groups
    names = {"SGD_DAMPNING": "dampening", "SGD_NESTEROV": "nesterov", "RMSPROP_ALPHA": "alpha"}
    for key, value in given.items():
        if key.startswith("ADAM_BETA"):
            assert group["betas"][int(key[-1]) - 1] == value
        else:
            assert group[names.get(key, key.lower())] == value
    assert group["lr"] == LR and group.get("amsgrad", False) == (name == "amsgrad")


def test_staged_rates():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    cfg = options("OPTIM.STAGED_LR", True, "OPTIM.NEW_LAYERS", ("1",))
    base, new = build_optimizer(model, cfg).param_groups
    assert (base["lr"], new["lr"]) == pytest.approx((0.1 * LR, LR))
    assert [p.shape for p in new["params"]] == [p.shape for p in model[1].parameters()]


def test_mistakes_are_sentences():
    with pytest.raises(ConfigValueError, match="OPTIM.NAME: 'sdg' is unknown; did you mean 'sgd'"):
        build_optimizer(nn.Linear(1, 1), options("OPTIM.NAME", "sdg"))
    with pytest.raises(ConfigTypeError, match="not int"):
        build_optimizer(3, options())
    optimizer = build_optimizer(nn.Linear(1, 1), options())
    with pytest.raises(ValueError, match="OPTIM.LR_SCHEDULER"):
        build_lr_scheduler(optimizer, options("OPTIM.LR_SCHEDULER", "cosin"))
    with pytest.raises(ValueError, match="OPTIM.WARMUP_TYPE"):
        build_lr_scheduler(optimizer, options("OPTIM.WARMUP_EPOCH", 1, "OPTIM.WARMUP_TYPE", "x"))


def test_older_helpers():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1)
    adjust_learning_rate(optimizer, 0.1, 40)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)  # two steps of 20 epochs
    adjust_learning_rate(optimizer, 0.1, 25, linear_decay=True)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.075)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).apply(set_bn_to_eval)
    assert (model[0].training, model[1].training) == (True, False)
