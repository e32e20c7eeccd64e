"""`import ueo.plugin` in others' train.py, with their data sets, yaml files and trainers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import CLASSES, REPOSITORY, read
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.utils import Registry

from ueo import plugin
from ueo.errors import CheckpointError, ConfigError
from ueo.images.other_datasets import complete
from ueo.settings import shared_names
from ueo.settings.config import resolved
from ueo.trainers.coop import CoOp

THEIR_YAML = """
DATALOADER:
  TRAIN_X:
    BATCH_SIZE: 16
  NUM_WORKERS: 0
INPUT:
  SIZE: (64, 64)
  INTERPOLATION: "bicubic"
  TRANSFORMS: ["random_resized_crop", "random_flip", "normalize"]
OPTIM:
  NAME: "sgd"
  LR: 0.002
  MAX_EPOCH: 1
  LR_SCHEDULER: "cosine"
  WARMUP_EPOCH: 1
  WARMUP_TYPE: "constant"
  WARMUP_CONS_LR: 1e-5
"""
THEIR_TRAIN = """
import ueo.plugin
import sys
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from pathlib import Path

@TRAINER_REGISTRY.register()
class CoOp(TrainerX): pass

@DATASET_REGISTRY.register()
class Pets(DatasetBase):
    def __init__(self, cfg):
        paths = sorted(Path(cfg.DATASET.ROOT, "toy", "red").glob("*/*.png"))
        names = sorted({p.parent.name for p in paths})
        items = [Datum(str(p), names.index(p.parent.name), 0, p.parent.name) for p in paths]
        super().__init__(train_x=items[::2], test=items[1::2])

cfg = get_cfg_default()
cfg.merge_from_file(sys.argv[1])
cfg.merge_from_list(sys.argv[2:])
trainer = build_trainer(cfg)
trainer.train()
assert TRAINER_REGISTRY.get("CoOp") is CoOp
assert "UFTCoOp" in TRAINER_REGISTRY.registered_names()
"""


@DATASET_REGISTRY.register(force=True)
class TheirPets(DatasetBase):
    """A data set like CoOp's, with train_x, val and test, but without train_u and a label space."""

    def __init__(self, cfg):
        items = []
        for label, name in enumerate(CLASSES):
            folder = f"{cfg.DATASET.ROOT}/toy/red/{name}"
            paths = sorted(Path(folder).iterdir())
            items += [Datum(str(path), label, 0, name) for path in paths]
        super().__init__(train_x=items[::2], val=items[1::4], test=items[3::4])


@pytest.fixture
def theirs(tmp_path, toy_root, weights):
    """theirs(trainer, KEY, VALUE, ...): a configuration as another train.py makes it."""
    (tmp_path / "rn50.yaml").write_text(THEIR_YAML)

    def make(trainer="UEO", *options):
        cfg = get_cfg_default()
        cfg.merge_from_file(str(tmp_path / "rn50.yaml"))
        cfg.merge_from_list([
            "DATASET.NAME", "TheirPets", "DATASET.ROOT", toy_root, "TRAINER.NAME", trainer,
            "MODEL.BACKBONE.NAME", weights["rn"], "OUTPUT_DIR", str(tmp_path / "out"),
            "USE_CUDA", False, "SEED", 1, *options,
        ])
        return cfg

    return make


def test_one_line_in_another_train_py_suffices(tmp_path, toy_root, weights):
    (tmp_path / "train.py").write_text(THEIR_TRAIN)
    (tmp_path / "rn50.yaml").write_text(THEIR_YAML)
    argv = ["rn50.yaml", "DATASET.NAME", "Pets", "DATASET.ROOT", toy_root, "TRAINER.NAME", "UEO",
            "MODEL.BACKBONE.NAME", weights["rn"], "OUTPUT_DIR", "out", "USE_CUDA", "False"]
    done = subprocess.run(
        [sys.executable, "train.py", *argv], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Loading evaluator: Classification" in done.stdout
    assert "=> result\n" in done.stdout and "Finish training\n" in done.stdout
    assert read(tmp_path / "out")["metrics"]["test"]["auroc"] is None


def test_the_record_describes_their_data(theirs, tmp_path, capsys):
    trainer = build_trainer(theirs())
    batch = next(iter(trainer.train_loader_x))
    assert set(batch["label"].tolist()) == {-1} and set(batch["impath"]) == {""}
    assert trainer.val_loader is None and trainer.dm.val_loader is None  # these have labels
    trainer.train()
    result, dataset = read(tmp_path / "out"), trainer.dm.dataset
    assert result["title"] == result["domain"] == "TheirPets"
    assert (result["setting"], result["protocol"]) == ("all", "independent")
    assert result["counts"]["unlabelled"] == len(dataset.train_x)
    assert result["counts"]["test"] == len(dataset.test)
    assert 0 <= result["metrics"]["test"]["pacc"] <= 100
    assert {result["metrics"]["test"][k] for k in ("auroc", "fpr95", "aupr", "hm")} == {None}
    printed = capsys.readouterr().out
    assert f"* total: {len(dataset.test):,}\n" in printed and "* OOD images: 0\n" in printed


def test_a_checkpoint_is_loaded_and_evaluated_there(theirs, tmp_path):
    trainer = build_trainer(theirs())
    trainer.train()
    tuned = trainer.model.prompt.ctx.detach().clone()
    other = build_trainer(theirs())
    assert not torch.equal(other.model.prompt.ctx, tuned)
    for epoch in (None, 1):
        other.load_model(str(tmp_path / "out"), epoch=epoch)
        assert torch.equal(other.model.prompt.ctx, tuned)
    expected = read(tmp_path / "out")["metrics"]["test"]["accuracy"]
    assert other.test() == pytest.approx(expected)
    other.load_model("")
    with pytest.raises(CheckpointError, match="model.pth.tar-7: no such model"):
        other.load_model(str(tmp_path / "out"), epoch=7)


def test_labels_beyond_the_names_give_the_label_space_as_is(theirs):
    cfg = theirs()
    dataset = TheirPets(cfg)
    known = [item for item in dataset.train_x if item.label < 4]
    dataset = DatasetBase(train_x=known, test=[*known, *dataset.test])
    complete(dataset, cfg)
    assert (dataset.space.setting, dataset.protocol) == ("as_is", "released")
    before = dataset.split_hash
    complete(dataset, cfg)
    assert dataset.split_hash == before and dataset.train_u == known


def test_our_yaml_is_refused_there_unless_the_configuration_was_extended(theirs):
    ours = str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml")
    with pytest.raises(KeyError, match="TRAINER.UEO"):
        theirs().merge_from_file(ours)
    cfg = plugin.extend_cfg(theirs())
    cfg.merge_from_file(ours)
    cfg.merge_from_list(["DATASET.SETTING", "open", "TRAINER.UEO.PROMPT_LR", "0.1"])
    assert (cfg.TRAINER.UEO.EVAL_FREQ, cfg.TRAINER.UEO.PROMPT_LR) == (2, 0.1)
    assert "TRAINER.UEO.PROMPT_LR" in resolved(cfg) and "TRAINER.UPL.TOP_K" not in resolved(cfg)


def test_defaults_of_dassls_trainers_are_not_part_of_the_configuration(theirs):
    """A run that finished before the engine had these keys stays finished."""
    cfg = theirs("Linear", "TRAINER.MCD.N_STEP_F", 7)  # declares no options, so may read any
    options = {key for key in resolved(cfg) if key.startswith("TRAINER.")}
    assert options >= {"TRAINER.NAME", "TRAINER.MCD.N_STEP_F"}
    assert not any(key.startswith(("TRAINER.MME.", "TRAINER.FIXMATCH.")) for key in options)


def test_choosing_an_epoch_by_labels_is_refused_there(theirs):
    with pytest.raises(ConfigError, match="UEO deploys its last step"):
        build_trainer(theirs("UEO", "TEST.FINAL_MODEL", "best_val"))


@pytest.mark.parametrize("ours_first", [True, False])
def test_names_that_another_project_uses_stay_its_own(monkeypatch, ours_first):
    registry = Registry("TRAINER")
    monkeypatch.setattr(shared_names, "TRAINER_REGISTRY", registry)
    their_coop = type("CoOp", (TrainerX,), {})
    steps = [shared_names.take_other_names, lambda: registry.register(their_coop)]
    for step in steps if ours_first else steps[::-1]:
        step()
    assert registry.get("CoOp") is their_coop
    assert issubclass(registry.get("UFTCoOp"), CoOp)
    assert registry.get("UFTEntMin").__name__ == "UFTEntMin"
    shared_names.take_names()
    assert registry.get("CoOp") is CoOp  # in our own train.py


def test_our_train_py_has_one_name_for_each_trainer():
    names = TRAINER_REGISTRY.registered_names()
    assert {"CoOp", "CoCoOp", "EntMin", "ZeroshotCLIP"} <= set(names)
    assert not any(name.startswith(shared_names.PREFIX) for name in names)


def test_without_a_data_root_nothing_is_written_in_the_current_folder(
    theirs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    cfg = theirs()
    dataset = TheirPets(cfg)
    cfg.DATASET.ROOT = ""
    complete(dataset, cfg)
    images = len(dataset.train_x) + len(dataset.val) + len(dataset.test)
    assert dataset.inputs["images"].startswith(f"{images} (")
    assert set(tmp_path.iterdir()) == before
