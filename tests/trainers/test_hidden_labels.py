"""No label or path can be reached from an unsupervised trainer: all its attributes are walked."""

from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType

import numpy as np
import pytest
import torch
from conftest import CLASSES, read, trainer_names
from dassl.data import DataManager
from dassl.data.datasets import build_dataset
from dassl.engine import TRAINER_REGISTRY
from torch.utils.data import DataLoader, Dataset

from ueo.errors import ConfigError
from ueo.images.hidden_labels import UnlabelledLoader

UNSUPERVISED = [t for t in trainer_names() if not TRAINER_REGISTRY.get(t).uses_labels]
PLAIN = (str, bytes, int, float, complex, type(None), type, torch.dtype, torch.device)
FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, MethodWrapperType)


class Walk:
    """Walks all that an object reaches by public names: attributes, entries, batches, items."""

    def __init__(self, truth):
        """truth: the data set as it was built."""
        self.labels = {
            tuple(item.label for item in items) for items in (truth.test, truth.train_u)
        }
        self.seen, self.leaks, self.keep = set(), [], []

    def go(self, value, name: str) -> "Walk":
        todo = [(value, name)]
        while todo:
            value, name = todo.pop()
            if isinstance(value, str):
                if set(PurePath(value).parts[:-1]) & set(CLASSES):
                    self.leaks.append(f"{name}: the path {value}")
            if isinstance(value, PLAIN) or id(value) in self.seen:
                continue
            self.seen.add(id(value))
            self.keep.append(value)  # or its id may be reused
            self._check(value, name)
            todo += self._parts(value, name)
        return self

    def _check(self, value, name: str) -> None:
        label = value.get("label") if isinstance(value, dict) else getattr(value, "label", None)
        if isinstance(label, int | torch.Tensor) and (torch.as_tensor(label) != -1).any():
            self.leaks.append(f"{name}: the label {label}")
        if numbers(value) in self.labels:
            self.leaks.append(f"{name}: the labels of all images")

    def _parts(self, value, name: str) -> list:
        """(what is inside, its name)."""
        if numbers(value) is not None or isinstance(value, torch.Tensor | np.ndarray):
            return []
        if isinstance(value, dict):
            return [part for k, v in value.items() for part in ((k, name), (v, f"{name}[{k!r}]"))]
        if isinstance(value, list | tuple | set | frozenset):
            return [(v, f"{name}[{i}]") for i, v in enumerate(value)]
        public = [n for n in dir(value) if not n.startswith("_")]
        parts = [(getattr(value, n, None), f"{name}.{n}") for n in public]
        if isinstance(value, DataLoader | UnlabelledLoader):
            parts += [(batch, f"a batch of {name}") for batch in value]
        elif isinstance(value, Dataset):
            parts += [(value[i], f"{name}[{i}]") for i in range(len(value))]
        return [(v, n) for v, n in parts if not isinstance(v, FUNCTIONS)]


def numbers(value) -> tuple[int, ...] | None:
    """The integers of a list, tensor or array of them alone."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return tuple(value.tolist()) if value.ndim == 1 else None
    whole = isinstance(value, list | tuple | range) and all(isinstance(v, int) for v in value)
    return tuple(value) if whole else None


def walked(trainer) -> list[str]:
    return Walk(build_dataset(trainer.cfg)).go(trainer, "trainer").leaks


@pytest.mark.parametrize(("name", "protocol"), [
    *((name, "released") for name in UNSUPERVISED), ("UEO", "independent"),
])
def test_nothing_within_reach_holds_a_label_or_a_path(build, monkeypatch, name, protocol):
    kind, found = TRAINER_REGISTRY.get(name), {}

    def watched(method):
        def call(self, *args):
            result = method(self, *args)
            if method.__name__ not in found:
                found[method.__name__] = walked(self)
            return result

        return call

    for method in (kind.prepare, kind.loss):
        monkeypatch.setattr(kind, method.__name__, watched(method))
    options = "DATASET.PROTOCOL", protocol, "TEST.KEEP_OUTPUTS", "True"
    trainer = build(*options, trainer=name, kind="rn", epochs=1)
    assert walked(trainer) == []
    trainer.train()
    assert found == dict.fromkeys(["prepare", "loss"] if trainer.groups else ["prepare"], [])
    assert walked(trainer) == []


def reopen(trainer, truth, door: str) -> None:
    manager = DataManager(trainer.cfg)
    if door == "dm.dataset":
        trainer.dm.dataset = truth
    elif door == "unlabelled_loader":
        trainer.unlabelled_loader.dataset.hide = False
    elif door == "val":
        trainer.dm.dataset.val = truth.test
    elif door == "labels":
        labels = np.array([item.label for item in truth.train_u])
        trainer.evaluations.outputs["before"]["labels"] = labels
    elif door == "paths":
        trainer.notes["paths"] = [item.impath for item in truth.train_u]
    else:
        setattr(trainer, door, getattr(manager, door))


@pytest.mark.parametrize("door", ["dm.dataset", "unlabelled_loader", "val", "labels", "paths",
                                  "train_loader_x", "train_loader_u", "test_loader"])
def test_the_walk_finds_labels_that_are_made_reachable(build, door):
    trainer = build()
    reopen(trainer, build_dataset(trainer.cfg), door)
    assert walked(trainer)


def test_hidden_attributes_are_refused_with_a_message(build):
    dataset = build().dm.dataset
    assert (len(dataset.train_u), len(dataset.test)) == (46, 57)
    assert len(dataset.train_x) == 46, "what it trains on are the unlabelled images"
    with pytest.raises(AttributeError, match="'class_list' of the data set is hidden"):
        dataset.class_list  # noqa: B018


def test_an_oracle_declares_that_it_reads_labels_and_its_record_says_so(build, toy):
    with pytest.raises(ConfigError, match="UEO reads labels without declaring it"):
        build().true_labels()
    _, oracle = toy("oracle", "TRAINER.UEO.WEIGHTING", "oracle")
    _, plain = toy("plain")
    assert read(oracle)["reads_labels"] is True and read(plain)["reads_labels"] is False


def test_a_sampler_that_reads_labels_is_refused(toy, capsys):
    assert toy("run", "DATALOADER.TRAIN_X.SAMPLER", "RandomClassSampler")[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "DATALOADER.TRAIN_X.SAMPLER: UEO draws its images at random" in line


FOREIGN = """
import torch
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn


@TRAINER_REGISTRY.register(force=True)
class ToyEntropy(TrainerX):
    uses_labels = False
    seen = []

    def build_model(self):
        self.model = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 4))
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        self.seen.append(self)
        p = self.model(batch["img"]).softmax(-1)
        loss = -(p * p.log()).sum(-1).mean()
        self.model_backward_and_update(loss)
        return {"loss": loss.item()}
"""


def test_labels_are_hidden_from_a_foreign_trainer_that_declares_to_use_none(toy, tmp_path):
    plugin = tmp_path / "entropy.py"
    plugin.write_text(FOREIGN)
    warm = "OPTIM.WARMUP_EPOCH", "1", "OPTIM.WARMUP_TYPE", "constant"
    status, folder = toy("run", *warm, trainer="ToyEntropy", plugins=[str(plugin)])
    assert status == 0
    trainer = TRAINER_REGISTRY.get("ToyEntropy").seen[-1]
    assert walked(trainer) == []
    outputs, truth = np.load(folder / "outputs.npz"), build_dataset(trainer.cfg)
    assert outputs["test_labels"].tolist() == [item.label for item in truth.test]
    known = outputs["test_labels"] < 4
    right = (outputs["test_predictions_after"] == outputs["test_labels"])[known].mean()
    assert read(folder)["metrics"]["test"]["accuracy"] == pytest.approx(100 * right)
