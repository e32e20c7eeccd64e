"""A run whose disk is full ends in one line that names the file; empty paths are refused."""

import pytest
import torch
from conftest import REPOSITORY, disk
from dassl.utils import Logger
from safetensors.torch import save_file

from ueo.commands import module_of, train
from ueo.errors import DataError
from ueo.files import saving


@pytest.mark.draws
@pytest.mark.parametrize(("size", "file"), [
    (500, "config.json"), (6_000, "model.pth.tar-1"), (20_000, "scores.png"),
])
def test_a_run_that_fills_the_disk_names_the_file(size, file, toy, capsys):
    with disk(size):
        status, folder = toy("run", "TRAINER.UEO.TUNE", "prompt", "DATASET.STORE_GB", "0")
    line = capsys.readouterr().err
    assert status == 2 and len(line.splitlines()) == 1
    assert line.startswith(f"Error: {folder}") and file in line
    assert not [p.name for p in folder.rglob("*") if p.name.startswith(".") or ".part" in p.name]


def test_a_full_disk_names_the_log(tmp_path, capsys):
    with pytest.raises(OSError) as caught, disk(500), Logger(str(tmp_path / "log.txt")) as log:
        for _ in range(100):
            log.write("epoch [1/2]\n")
    assert caught.value.filename == str(tmp_path / "log.txt")


@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_failed_save_on_a_full_disk_is_one_line(save, tmp_path):
    with pytest.raises(DataError, match="new: not written, is the disk full") as caught:
        with disk(500), saving(tmp_path / "new"):
            save({"weights": torch.zeros(1000)}, tmp_path / "new")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [["--output-dir", ""], ["--output-dir", "x", "OUTPUT_DIR", ""],
                                     ["--root", " "]])
def test_an_empty_path_is_not_the_current_folder(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    yaml = str(REPOSITORY / "configs/datasets/emoji.yaml")
    argv = ["--trainer", "ZeroshotCLIP", "--dataset-config-file", yaml, *options]
    assert train.main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert options[-2] in line and "is empty" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["grid", "tune", "ood_study", "robust"])
def test_an_empty_output_is_refused(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert module_of(command).main(["emoji", "--output", ""]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: --output") and not list(tmp_path.iterdir())
