"""--plugin FILE: external trainers of the CoOp family, their keys, and mistakes in them."""

import sys

import numpy as np
import pytest
from conftest import REPOSITORY, TOY_PLUGIN, read

from ueo.commands import grid, train
from ueo.commands.arguments import grid_settings
from ueo.errors import DataError
from ueo.grids.choices import dataset_names
from ueo.grids.plan import plan
from ueo.results import tables
from ueo.results.comparable import check_comparable
from ueo.runs.configure import register
from ueo.settings.discover import import_file

# like a file of the CoOp family: no `defaults`, keys under another name, a file beside it
FAMILY = """
from dassl.engine import TRAINER_REGISTRY, TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import nn
from torch.nn import functional as F
from yacs.config import CfgNode as CN

from .beside import SIZE
from ueo.commands import grid


def extend_cfg(cfg):
    cfg.TRAINER.LINEAR = CN()
    cfg.TRAINER.LINEAR.SCALE = 1.0


@TRAINER_REGISTRY.register(force=True)
class ToyLinear(TrainerX):
    def build_model(self):
        layers = nn.AdaptiveAvgPool2d(SIZE), nn.Flatten(), nn.Linear(3 * SIZE**2, self.num_classes)
        self.model = nn.Sequential(*layers).to(self.device)
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        images, labels, _ = self.parse_batch_train(batch)
        logits = self.cfg.TRAINER.LINEAR.SCALE * self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.model_backward_and_update(loss)
        if self.batch_idx + 1 == self.num_batches:
            self.update_lr()
        return {"loss": loss.item()}
"""
SHOTS = ("DATASET.NUM_SHOTS", "3", "OPTIM.WARMUP_EPOCH", "1", "OPTIM.WARMUP_TYPE", "constant")


@pytest.fixture
def family(tmp_path):
    (tmp_path / "beside.py").write_text("SIZE = 4\n")
    (tmp_path / "linear.py").write_text(FAMILY)
    return str(tmp_path / "linear.py")


@pytest.mark.draws
def test_a_trainer_of_the_family_runs_and_leaves_a_record(toy, family, tmp_path, capsys):
    yaml = tmp_path / "linear.yaml"
    yaml.write_text("TRAINER:\n  LINEAR:\n    SCALE: 2.0\n")
    arguments = {"trainer": "ToyLinear", "plugins": [family, "--dataset-config-file", str(yaml)]}
    status, folder = toy("run", *SHOTS, **arguments)
    assert status == 0
    result, outputs = read(folder), np.load(folder / "outputs.npz")
    assert result["trainer"] == "ToyLinear" and result["uses_labels"]
    assert result["config"]["TRAINER.LINEAR.SCALE"] == 2.0
    assert result["set_by_hand"]["DATASET.NUM_SHOTS"] == [3, -1]
    assert 0 <= result["metrics"]["test"]["auroc"] <= 100
    assert result["score"] == "msp"  # its logits are scaled
    assert np.array_equal(outputs["test_scores_after"].astype(np.float32),
                          outputs["test_confidences_after"])
    assert len(outputs["test_scores_after"]) == len(outputs["test_paths"])
    assert (folder / "scores.png").stat().st_size > 1000
    assert tables.summarise([(folder, result)], "ToyLinear")["use_labels"] == ["ToyLinear"]
    capsys.readouterr()
    assert toy("run", *SHOTS, **arguments)[0] == 0 and "Finished before" in capsys.readouterr().out
    assert toy("run", *SHOTS, "TRAINER.LINEAR.SCALE", "3.0", **arguments)[0] == 2
    assert "TRAINER.LINEAR.SCALE: 2.0 -> 3.0" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "said"), [
    ((), "ToyLinear trains with labels and would be tested on the same images"),
    ((*SHOTS, "TRAINER.LINEAR.SCALES", "1.0"), "did you mean 'TRAINER.LINEAR.SCALE'"),
])
def test_training_on_test_images_and_unknown_keys_are_refused_for_plug_ins(
    toy, family, capsys, options, said
):
    assert toy("run", *options, trainer="ToyLinear", plugins=[family])[0] == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


MISTAKES = {
    "syntax": ("\nx = (\n", "line 2: SyntaxError"),
    "import": ("import os\nimport nowhere_to_be_found\n", "line 2: ModuleNotFoundError"),
    "name": (
        "from dassl.engine import TRAINER_REGISTRY\n@TRAINER_REGISTRY.register()\nclass UEO: pass",
        "'UEO' is registered already in the TRAINER registry",
    ),
    "keys": ("\n\ndef extend_cfg(cfg):\n    cfg.TRAINER.X.A = 1\n", "line 4: AttributeError: X"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_a_plugin_is_one_line_that_names_it(tmp_path, capsys, kind):
    body, said = MISTAKES[kind]
    path = tmp_path / "mine.py"
    path.write_text(body)
    for main in (train.main, grid.main):
        assert main(["--plugin", str(path), "--output", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith(f"Error: --plugin {path}, line") and said in line
    assert not any(name.endswith(".mine") for name in sys.modules if kind != "keys")


def test_a_plugin_is_imported_once_and_hides_no_module(tmp_path):
    path = tmp_path / "json.py"
    path.write_text("VALUE = 1\n")
    first = import_file(str(path))
    assert import_file(str(path)) is first and first.VALUE == 1
    assert sys.modules["json"].loads("2") == 2
    path.write_text("VALUE = 2\n")
    assert import_file(str(path)).VALUE == 2


def grid_words(tmp_path, dataset, plugin, *more):
    yaml = tmp_path / "mine.yaml"
    yaml.write_text(f"DATASET:\n  NAME: {dataset}\nMODEL:\n  BACKBONE:\n    NAME: TinyCLIP\n"
                    "INPUT:\n  SIZE: (64, 64)\n")
    return [str(yaml), "--plugin", plugin, "--output", str(tmp_path / "out"), *more]


def test_a_grid_hands_the_plugin_and_its_data_set_to_every_run(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    words = grid_words(tmp_path, "Toy", "tests/toy_dataset.py", "--seed", "1")
    args = grid.parser().parse_args(words)
    settings = grid_settings(args)
    register(settings.plugin)
    (name,) = dataset_names(settings.datasets)
    runs = plan(settings, name)
    assert {run.folder.parents[4] for run in runs} == {tmp_path / "out" / "mine"}
    for run in runs:
        asked = run.settings
        assert asked.plugin == (str(TOY_PLUGIN),) and asked.domain[0] in ("red", "blue")


@pytest.mark.parametrize(("dataset", "said"), [
    ("Plain", "Plain is no UFTDataset, which a grid needs; use train.py"),
    ("Toi", "unknown data set 'Toi'; did you mean 'Toy'?"),
])
def test_a_grid_refuses_data_sets_without_domains(tmp_path, dataset, said, capsys):
    plain = tmp_path / "plain.py"
    plain.write_text("from dassl.data.datasets import DATASET_REGISTRY, DatasetBase\n"
                     "@DATASET_REGISTRY.register(force=True)\nclass Plain(DatasetBase): pass\n")
    import_file(str(TOY_PLUGIN))
    assert grid.main(grid_words(tmp_path, dataset, str(plain))) == 2
    assert said in capsys.readouterr().err


def test_engines_are_not_mixed_and_the_message_says_what_to_do(tmp_path):
    common = {"dataset": "d", "protocol": "p", "backbone": "b", "domain": "a", "setting": "open",
              "split_hash": "s", "trainer": "T", "inputs": {}}
    entries = [(tmp_path / e, {**common, "environment": {"engine": e}}) for e in ("one", "two")]
    with pytest.raises(DataError, match="engine is 'one' and 'two'; give each engine an --output"):
        check_comparable(entries)
