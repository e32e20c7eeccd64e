"""A user's mistake gives one line that names it; no broken file is left; a corrected run works."""

import shutil

import pytest
import torch
from conftest import CLASSES, TOY_PLUGIN, read, toy_arguments

from ueo.commands import train

LOSS_PLUGIN = """
import torch
from dassl.engine import TRAINER_REGISTRY
from ueo.trainers.ueo import UEO

@TRAINER_REGISTRY.register(force=True)
class Broken(UEO):
    def loss(self, batch):
        {body}
"""


@pytest.fixture
def fails(toy_root, weights, tmp_path, capsys):
    """Run the toy job, which must fail. Returns its one line on stderr.

    arguments: command line before the KEY VALUE pairs; options: more pairs.
    """

    def run(*options, arguments=(), status: int = 2, root: str = toy_root, **changes) -> str:
        folder = tmp_path / "wrong"
        argv = toy_arguments(root, weights, folder, **changes)
        pairs = argv.index("INPUT.SIZE")
        capsys.readouterr()
        found = train.main([*argv[:pairs], *arguments, *argv[pairs:], *options])
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("Error: "), lines
        assert found == status
        assert not (folder / "result.json").exists()
        return lines[0]

    return run


# names, keys and values


@pytest.mark.parametrize(("options", "parts"), [
    (["TRAINER.NAME", "UEOO"], ["unknown trainer 'UEOO'", "did you mean 'UEO'", "ZeroshotCLIP"]),
    (["DATASET.NAME", "Emojis"], ["unknown data set 'Emojis'", "did you mean 'Emoji'"]),
    (["DATASET.TARGET_DOMAINS", "('rad',)"], ["'rad'", "did you mean 'red'", "red, blue"]),
    (["DATASET.TARGET_DOMAINS", "('red', 'blue')"], ["exactly one domain"]),
    (["DATASET.SETTING", "opens"], ["'opens'", "did you mean 'open'", "closed"]),
    (["DATASET.PROTOCOL", "none"], ["DATASET.PROTOCOL", "'none'", "independent"]),
    (["MODEL.BACKBONE.NAME", "RN5"], ["'RN5'", "did you mean 'RN50'", "TinyCLIP"]),
    (["OPTIM.LRR", "1"], ["command line", "unknown key OPTIM.LRR", "did you mean 'OPTIM.LR'"]),
    (["TRAINER.UEO.SCORES", "mcm"], ["did you mean 'TRAINER.UEO.SCORE'"]),
    (["OPTIM", "1"], ["unknown key OPTIM"]),
    (["OPTIM.MAX_EPOCH", "many"], ["OPTIM.MAX_EPOCH takes a whole number from 1 on", "'many'"]),
    (["OPTIM.MAX_EPOCH", "2.5"], ["OPTIM.MAX_EPOCH takes a whole number from 1 on", "2.5"]),
    (["OPTIM.LR", "1e999"], ["OPTIM.LR", "finite"]),
    (["OPTIM.LR", "None"], ["OPTIM.LR has no value"]),
    (["INPUT.SIZE", "64"], ["INPUT.SIZE takes 2 whole numbers from 1 on, like (224, 224), not 64"]),
    (["INPUT.SIZE", "(96, 96)"], ["INPUT.SIZE: (96, 96) does not fit", "takes (64, 64)"]),
    (["INPUT.TRANSFORMS", "['random_flop']"], ["random_flop", "random_flip"]),
    (["OPTIM.NAME", "sdg"], ["sdg", "sgd"]),
    (["TRAINER.UEO.PREC", "fp8"], ["PREC: 'fp8'", "fp16"]),
    (["TRAINER.UEO.SCORE", "mmc"], ["TRAINER.UEO.SCORE", "mcm"]),
    (["TRAINER.UEO.TUNE", "texts"], ["TUNE: 'texts'", "visual_affine"]),
    (["DATALOADER.TRAIN_X.BATCH_SIZE", "0"], ["BATCH_SIZE takes a whole number from 1 on, not 0"]),
    (["OPTIM.LR"], ["KEY VALUE pairs", "'OPTIM.LR' has no value"]),
])
def test_a_wrong_name_key_or_value_is_named_with_what_is_known(fails, options, parts):
    line = fails(*options)
    for part in parts:
        assert part in line


def test_a_trainer_that_is_not_known_is_named_before_its_options(fails):
    line = fails("TRAINER.Absent.RANK", "4", trainer="Absent")
    assert "unknown trainer 'Absent'" in line and "--plugin" in line


@pytest.mark.parametrize(("options", "parts"), [
    (["DATALOADER.TRAIN_U.BATCH_SIZE", "8"], ["BATCH_SIZE: UEO does not", "TRAIN_X.BATCH_SIZE"]),
    (["DATALOADER.K_TRANSFORMS", "2"], ["K_TRANSFORMS: UEO does not read it"]),
    (["OPTIM.BASE_LR_MULT", "0.5"], ["BASE_LR_MULT: UEO does not read it", "OPTIM.LR"]),
    (["OPTIM.LR_SCHEDULER", "cosine"], ["OPTIM.LR_SCHEDULER", "TRAINER.UEO.SCHEDULE epoch"]),
    (["OPTIM.WARMUP_EPOCH", "1"], ["OPTIM.WARMUP_EPOCH", "TRAINER.UEO.SCHEDULE epoch"]),
    (["TRAINER.UEO.DECAY", "2"], ["TRAINER.UEO.DECAY", "TRAINER.UEO.SCHEDULE inverse"]),
    (["TRAINER.UEO.N_CTX", "16"], ["TRAINER.UEO.N_CTX", "TRAINER.UEO.CTX_INIT ''"]),
    (["TRAINER.UEO.N_VISUAL_CTX", "4"], ["N_VISUAL_CTX", "visual_prompt in TRAINER.UEO.TUNE"]),
    (["OPTIM.ADAM_BETA1", "0.5"], ["ADAM_BETA1: applies only with OPTIM.NAME adam or amsgrad or"]),
    (["OPTIM.RMSPROP_ALPHA", "0.5"], ["RMSPROP_ALPHA: applies only with OPTIM.NAME rmsprop"]),
    (["OPTIM.NAME", "adamw", "OPTIM.MOMENTUM", "0.5"], ["only with OPTIM.NAME sgd or rmsprop"]),
    (["INPUT.COLORJITTER_B", "0.9"], ["COLORJITTER_B: applies only with colorjitter in INPUT"]),
    (["INPUT.RANDAUGMENT_M", "5"], ["RANDAUGMENT_M", "randaugment in INPUT.TRANSFORMS"]),
    (["INPUT.TRANSFORMS", "('normalize',)", "INPUT.RRCROP_SCALE", "(0.2, 1.0)"],
     ["RRCROP_SCALE: applies only with random_resized_crop in INPUT.TRANSFORMS"]),
    (["DATALOADER.TEST.SAMPLER", "RandomSampler"], ["TEST.SAMPLER: UEO does not read it"]),
    (["MODEL.HEAD.NAME", "mlp"], ["MODEL.HEAD.NAME: UEO does not read it"]),
    (["INPUT.NO_TRANSFORM", "True"], ["INPUT.NO_TRANSFORM", "INPUT.SIZE"]),
    (["TRAINER.UEO.TUNE", "prompt", "TRAINER.UEO.VISUAL_LR", "0.1"],
     ["VISUAL_LR: applies only with visual_affine in TRAINER.UEO.TUNE"]),
    (["TRAINER.UEO.TUNE", "visual+text", "TRAINER.UEO.PROMPT_LR", "0.1"],
     ["PROMPT_LR: applies only with prompt in TRAINER.UEO.TUNE"]),
    (["TRAINER.UEO.WEIGHTING", "uniform", "TRAINER.UEO.TEMPERATURE", "0.01"],
     ["TEMPERATURE: applies only with TRAINER.UEO.WEIGHTING confidence"]),
    (["TRAINER.UEO.WEIGHTING", "oracle", "TRAINER.UEO.REFRESH", "True"],
     ["REFRESH: applies only with TRAINER.UEO.WEIGHTING confidence"]),
    (["TRAINER.UEO.WEIGHTING", "uniform", "TRAINER.UEO.DOUBT", "linear"],
     ["DOUBT: applies only with TRAINER.UEO.WEIGHTING confidence or oracle"]),
    (["TRAINER.UEO.CTX_INIT", "None"], ["CTX_INIT: 'None' would be a word", "''"]),
    (["TRAINER.UEO.CTX_INIT", "''"], ["CTX_INIT: \"''\" would be a word"]),
])
def test_a_key_without_effect_is_refused(fails, options, parts):
    line = fails(*options)
    for part in parts:
        assert part in line


@pytest.mark.parametrize(("text", "parts"), [
    (None, ["cannot be read (No such file or directory)"]),
    ("OPTIM: {LR: [", ["not valid yaml"]),
    ("- OPTIM", ["expected keys and values, found list"]),
    ("OPTIM: {LRR: 1}", ["unknown key OPTIM.LRR", "did you mean 'OPTIM.LR'"]),
    ("OPTIM: {LR: fast}", ["OPTIM.LR takes a number from 0 on", "'fast'"]),
])
def test_a_bad_yaml_file_is_named(fails, tmp_path, text, parts):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    line = fails(arguments=["--dataset-config-file", str(path)])
    for part in [str(path), *parts]:
        assert part in line


def test_an_empty_key_in_a_yaml_file_is_refused(fails, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("TRAIN:\n  PRINT_FREQ:\n")
    line = fails(arguments=["--dataset-config-file", str(path)])
    assert "TRAIN.PRINT_FREQ has no value; its default is" in line


@pytest.mark.parametrize(("arguments", "parts"), [
    (["--device", "cuda"], ["--device cuda", "no CUDA device", "--device cpu"]),
    (["--threads", "-2"], ["--threads", "-2"]),
    (["--eval-only"], ["--eval-only", "--model-dir"]),
    (["--eval-only", "--model-dir", "nowhere"], ["nowhere/tuned", "no such"]),
    (["--resume", "nowhere"], ["nowhere/tuned", "no checkpoint"]),
])
def test_a_wrong_argument_is_named(fails, monkeypatch, arguments, parts):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = fails(arguments=arguments)
    for part in parts:
        assert part in line


def test_a_missing_plugin_is_named(fails):
    line = fails(plugins=["absent.py"])
    assert "--plugin: absent.py is not a Python file (a relative path, looked for in " in line


def test_an_unknown_argument_keeps_the_usage_message(capsys):
    with pytest.raises(SystemExit) as stop:
        train.main(["--trainor", "UEO"])
    assert stop.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--eval-only", "--model-dir", "x"]])
def test_an_output_folder_that_cannot_be_written_is_named(
    toy_root, weights, tmp_path, capsys, arguments
):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    argv = ["--root", toy_root, "--plugin", str(TOY_PLUGIN), "--dataset", "Toy", "--trainer", "UEO",
            "--domain", "red", "--output-dir", str(folder)]
    assert train.main([*arguments, *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: --output-dir") and str(folder) in line
    assert (tmp_path / "file").read_text() == ""


# images


@pytest.fixture
def own_root(toy_root, tmp_path):
    """A copy of the toy data that a test may damage."""
    return shutil.copytree(toy_root, tmp_path / "own")


def test_a_missing_or_empty_data_root_is_named(fails, tmp_path, own_root):
    line = fails(root=str(tmp_path / "absent"))
    assert str(tmp_path / "absent" / "toy") in line and "--root" in line
    for name in CLASSES:
        shutil.rmtree(own_root / "toy" / "red" / name)
    line = fails(root=str(own_root))
    assert str(own_root / "toy") in line and "6 classes are expected, 0 were found" in line
    for name in CLASSES:
        (own_root / "toy" / "red" / name).mkdir()
    assert "has no image" in fails(root=str(own_root))


ITEMS_PLUGIN = """
import numpy as np
from dassl.data.datasets import DATASET_REGISTRY
from pathlib import Path

@DATASET_REGISTRY.register(force=True)
class Listed(DATASET_REGISTRY.get("Toy")):
    def items(self, domain, part):
        return [{item} for path, label in super().items(domain, {part})]
"""


@pytest.mark.parametrize(("item", "parts"), [
    ("(path, label + 1)", ["has class id 6; ids go from 0 to 5", "count from 1?"]),
    ("(path, label - 2)", ["has class id -2; ids go from 0 to 5"]),
    ("(path, str(label))", ["has class id '0'; ids go from 0 to 5"]),
    ("(path, np.int64(label))", ["has class id", "ids go from 0 to 5", "int()"]),
    ("(path, label)", [".png", "is listed twice", "each image to one part"]),
    ("(Path(path), label)", [".png", "is given as a ", "Path; convert it by str()"]),
])
def test_items_of_a_data_set_that_are_no_text_and_class_id_are_named(
    fails, tmp_path, item, parts
):
    (plugin := tmp_path / "listed.py").write_text(
        ITEMS_PLUGIN.format(item=item, part="part" if item != "(path, label)" else "'test'"))
    line = fails("DATASET.NAME", "Listed", plugins=[str(plugin)])
    for part in parts:
        assert part in line


def _damage(path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-60])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not an image")
    else:
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize(("how", "workers"), [
    ("truncated", 0), ("empty", 0), ("text", 0), ("folder", 0), ("truncated", 1),
])
def test_a_damaged_image_is_named_and_a_repaired_one_is_read(
    fails, toy, own_root, toy_root, how, workers
):
    image = own_root / "toy" / "red" / "mug" / "004.png"
    _damage(image, how)
    line = fails("DATALOADER.NUM_WORKERS", str(workers), root=str(own_root))
    assert str(image) in line
    assert "replace or remove it" in line or how == "folder"
    if how == "empty":
        shutil.copy(f"{toy_root}/toy/red/mug/004.png", image)
        status, folder = toy("wrong", root=str(own_root), epochs=1)
        assert status == 0 and read(folder)["metrics"]["test"]


# losses that are not finite


def _plugin(tmp_path, body: str) -> str:
    path = tmp_path / "broken_trainer.py"
    path.write_text(LOSS_PLUGIN.format(body=body))
    return str(path)


def test_a_loss_that_is_not_a_number_ends_with_status_3(fails, toy, tmp_path):
    body = 'return {"loss": super().loss(batch)["loss"] * float("nan")}'
    line = fails(status=3, trainer="Broken", plugins=[_plugin(tmp_path, body)])
    assert "epoch 1, batch 1" in line and "lower OPTIM.LR" in line
    fails("OPTIM.LR", "1e30", status=3)
    status, folder = toy("wrong", epochs=1)
    assert status == 0 and read(folder)["trainer"] == "UEO"


def test_out_of_memory_is_one_line(fails, tmp_path):
    body = 'raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate\\nall of it")'
    line = fails(trainer="Broken", plugins=[_plugin(tmp_path, body)])
    assert "out of GPU memory; lower DATALOADER.TRAIN_X.BATCH_SIZE" in line
    assert "with the same results, set DATASET.DEVICE_GB 0" in line
    for said in ("CUDA error: out of memory\\nCUDA kernel errors might be reported",
                 "Triton Error [CUDA]: out of memory", "CUDA driver error: out of memory"):
        body = f'raise RuntimeError("{said}")'
        assert fails(trainer="Broken", plugins=[_plugin(tmp_path, body)]) == line
    body = 'raise RuntimeError("[enforce fail] DefaultCPUAllocator: can\'t allocate memory")'
    line = fails(trainer="Broken", plugins=[_plugin(tmp_path, body)])
    assert "out of memory; lower DATALOADER.TRAIN_X.BATCH_SIZE" in line and "fewer classes" in line


def test_an_interrupt_is_one_line_and_status_130(toy, tmp_path, capsys):
    plugin = _plugin(tmp_path, "raise KeyboardInterrupt")
    status, folder = toy(trainer="Broken", plugins=[plugin])
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 130 and not (folder / "result.json").exists()
    assert lines == ["interrupted; run the same command again to resume"]


# checkpoints of runs


def test_a_checkpoint_that_does_not_fit_or_is_damaged_is_named(fails, toy, tmp_path):
    _, folder = toy("vit", kind="vit", epochs=1)
    options = ["--eval-only", "--model-dir", str(folder)]
    assert "was adapted from the weights" in fails(arguments=options)
    longer = ("TRAINER.UEO.CTX_INIT", "", "TRAINER.UEO.N_CTX", "7")
    line = fails(*longer, arguments=options, kind="vit")
    checkpoint = folder / "tuned" / "model.pth.tar-1"
    assert str(checkpoint) in line and "does not fit" in line
    assert "no such model" in fails(arguments=[*options, "--load-epoch", "7"], kind="vit")
    for content in (b"", b"no checkpoint", checkpoint.read_bytes()[:-500]):
        checkpoint.write_bytes(content)
        line = fails(arguments=options, kind="vit")
        assert str(checkpoint) in line and "damaged" in line


def test_a_damaged_checkpoint_stops_a_resumed_run(fails, toy, tmp_path):
    body = "self.n = getattr(self, 'n', 0) + 1\n" \
           "        if self.n > 4: raise KeyboardInterrupt\n" \
           "        return super().loss(batch)"
    changes = {"trainer": "Broken", "plugins": [_plugin(tmp_path, body)], "epochs": 4}
    assert toy("wrong", **changes)[0] == 130
    (checkpoint,) = (tmp_path / "wrong" / "tuned").glob("model.pth.tar-*")
    checkpoint.write_bytes(b"x")
    assert str(checkpoint) in fails(**changes)
