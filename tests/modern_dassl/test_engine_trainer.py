"""The trainer's contract, the registries, the evaluator and the small tools."""

import pytest
import torch
from dassl.config import clean_cfg, get_cfg_default
from dassl.engine import TrainerBase, TrainerX, build_trainer
from dassl.evaluation import build_evaluator
from dassl.metrics import compute_accuracy
from dassl.utils import (
    AverageMeter,
    ConfigTypeError,
    ConfigValueError,
    DataValueError,
    MetricMeter,
    Registry,
    count_num_param,
    listdir_nohidden,
    open_specified_layers,
    read_json,
    write_json,
)
from torch import nn
from yacs.config import CfgNode


def test_construction_order(make_cfg, monkeypatch):
    seen = []

    class Ordered(TrainerX):
        def check_cfg(self, cfg):
            seen.append("check_cfg")
            assert not hasattr(self, "device")

        def build_data_loader(self):
            seen.append("build_data_loader")
            assert (self.start_epoch, self.epoch, self.max_epoch) == (0, 0, 6)
            super().build_data_loader()

        def build_model(self):
            seen.append("build_model")
            assert self.num_classes == 3 and not hasattr(self, "evaluator")

    trainer = Ordered(make_cfg())
    assert seen == ["check_cfg", "build_data_loader", "build_model"]
    assert trainer.best_result == float("-inf") and trainer.device.type == "cpu"


@pytest.mark.parametrize(
    "count_iter, batches", [("train_x", 3), ("train_u", 2), ("smaller_one", 2)]
)
def test_length_of_an_epoch_with_two_loaders(make_cfg, count_iter, batches):
    trainer = build_trainer(make_cfg("TRAINER.NAME", "LinearXU", "TRAIN.COUNT_ITER", count_iter))
    trainer.run_epoch()
    assert (trainer.num_batches, len(trainer.rates)) == (batches, batches)


def test_shorter_loader_begins_again(make_cfg):
    cfg = make_cfg("TRAINER.NAME", "LinearXU", "DATALOADER.TRAIN_U.SAME_AS_X", False)
    cfg.DATALOADER.TRAIN_U.BATCH_SIZE = 9  # one batch
    trainer = build_trainer(cfg)
    trainer.run_epoch()
    assert trainer.num_batches == 3


@pytest.mark.parametrize("there, wanted, device", [
    (True, True, "cuda"), (True, False, "cpu"), (False, True, "cpu"),
])
def test_a_gpu_is_used_where_there_is_one_and_it_is_wanted(
    make_cfg, monkeypatch, there, wanted, device
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    trainer = build_trainer(make_cfg("USE_CUDA", wanted))
    assert trainer.device.type == device


def test_missing_loaders_are_sentences(make_cfg):
    trainer = build_trainer(make_cfg())
    trainer.train_loader_x = trainer.test_loader = None
    with pytest.raises(DataValueError, match="no labelled images"):
        trainer.run_epoch()
    with pytest.raises(DataValueError, match="no test images"):
        trainer.test()


def test_models():
    trainer = TrainerBase()
    trainer.register_model("a", nn.Linear(1, 1))
    with pytest.raises(ConfigValueError, match="registered already"):
        trainer.register_model("a", nn.Linear(1, 1))
    with pytest.raises(ConfigValueError, match="no model is named 'b'"):
        trainer.get_model_names("b")
    trainer.set_model_mode("test")
    assert not trainer._models["a"].training
    with pytest.raises(AttributeError, match="before super"):
        TrainerBase.__new__(TrainerBase).register_model("a")
    trainer.write_scalar("nothing", 1.0, 0)  # no writer: silent
    trainer.close_writer()


def test_step_that_does_not_hurt_the_other_loss():
    trainer, model = TrainerBase(), nn.Linear(2, 1, bias=False)
    nn.init.zeros_(model.weight)
    trainer.register_model("m", model, torch.optim.SGD(model.parameters(), lr=1.0))
    a, b = torch.tensor([1.0, -1.0]), torch.tensor([0.0, 1.0])
    trainer.prograd_backward_and_update((model.weight[0] * a).sum(), (model.weight[0] * b).sum())
    assert torch.equal(model.weight[0], torch.tensor([-1.0, 0.0]))  # the part along b is gone
    trainer.prograd_backward_and_update((model.weight[0] * b).sum(), (model.weight[0] * b).sum())
    assert torch.equal(model.weight[0], torch.tensor([-1.0, -1.0]))  # no conflict


def test_evaluator(make_cfg):
    cfg = make_cfg("TEST.PER_CLASS_RESULT", True)
    evaluator = build_evaluator(cfg, lab2cname={0: "a", 1: "b"})
    with pytest.raises(DataValueError, match="no image"):
        evaluator.evaluate()
    evaluator.process(torch.eye(2)[[0, 0, 1, 1]], torch.tensor([0, 0, 1, 0]))
    results = evaluator.evaluate()
    assert list(results) == ["accuracy", "error_rate", "macro_f1", "perclass_accuracy"]
    f1 = 100 * (0.8 + 2 / 3) / 2
    assert list(results.values()) == pytest.approx([75, 25, f1, 100 * (2 / 3 + 1) / 2])


def test_accuracy():
    output = torch.tensor([[3.0, 2, 1], [1, 2, 3], [1, 3, 2], [2, 1, 3]]).T.contiguous().T
    target = torch.tensor([0, 1, 0, 2])
    one, two = compute_accuracy((output, None), target, topk=(1, 2))
    assert one.shape == (1,) and (one.item(), two.item()) == (50, 75)
    with pytest.raises(ConfigValueError, match="top-5 accuracy is not defined for 3 classes"):
        compute_accuracy(output, target, topk=(1, 5))


def test_registry():
    registry = Registry("THING")

    @registry.register()
    class Mine:
        pass

    assert registry.get("Mine") is Mine and registry.registered_names() == ["Mine"]
    with pytest.raises(KeyError) as caught:
        registry.register(Mine)
    assert str(caught.value).startswith("'Mine' is registered already")
    registry.register(Mine, force=True)
    with pytest.raises(KeyError, match="did you mean 'Mine'"):
        registry.get("Nine")


def test_meters():
    meter = AverageMeter()
    meter.update(2.0)
    meter.update(torch.tensor(5.0), n=2)
    assert (meter.val, meter.avg, meter.count) == (5, 4, 3)
    meters = MetricMeter()
    meters.update({"loss": 1.0})
    meters.update({"loss": 2.0})
    meters.update(None)
    assert str(meters) == "loss 2.0000 (1.5000)"
    with pytest.raises(ConfigTypeError, match="must return a dictionary of numbers"):
        meters.update(3.0)


def test_configuration(tmp_path):
    cfg = get_cfg_default()
    cfg.TRAINER.COOP = CfgNode({"N_CTX": 16})
    cfg.TRAINER.OTHER = CfgNode({"X": 1})
    file = tmp_path / "c.yaml"
    file.write_text(
        'INPUT: {SIZE: "(32, 32)", TRANSFORMS: ["random_flip"]}\n'
        "OPTIM: {WARMUP_CONS_LR: 1e-5, LR: 0.1}\nTRAINER: {COOP: {N_CTX: 4}}\n"
    )
    cfg.merge_from_file(str(file))
    clean_cfg(cfg, "CoOp")
    assert cfg.INPUT.SIZE == (32, 32) and cfg.OPTIM.WARMUP_CONS_LR == 1e-5
    assert set(cfg.TRAINER) == {"NAME", "COOP"} and cfg.TRAINER.COOP.N_CTX == 4
    assert "COOP" not in get_cfg_default().TRAINER


def test_tools(tmp_path):
    write_json({"a": [1]}, str(tmp_path / "deep" / "x.json"))
    assert read_json(str(tmp_path / "deep" / "x.json")) == {"a": [1]}
    (tmp_path / ".hidden").touch()
    (tmp_path / "b").touch()
    assert listdir_nohidden(str(tmp_path), sort=True) == ["b", "deep"]
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    assert count_num_param(model) == count_num_param(params=[{"params": model.parameters()}]) == 9
    open_specified_layers(model, "1")
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
