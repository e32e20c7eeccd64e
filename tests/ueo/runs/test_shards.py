"""Runs on shards equal runs on a folder, with one process or two, and after a kill."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import made_shards
import numpy as np
import pytest
import torch
from conftest import read
from dassl.engine import build_trainer
from dassl.utils import load_checkpoint, set_random_seed
from test_torchrun import largest_difference, two_processes
from torch.utils.data import Sampler

from ueo.commands import predict, train
from ueo.files import read_json
from ueo.images.loaders import TrainingLoader
from ueo.runs import start
from ueo.runs.configure import build_cfg
from ueo.runs.online import partial_state
from ueo.runs.shards import first_pass
from ueo.runs.shards.evaluations import ShardEvaluations
from ueo.trainers.ueo import UEO

COUNTS = (10, 13, 7, 11)  # 41 images: two lanes of 20 and 21, so one lane has the last batch


@pytest.fixture(autouse=True)
def nothing_drawn(monkeypatch):
    monkeypatch.setattr(start, "_draw", lambda cfg: None)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """(the list, the folder of the shards)."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    return made_shards.make(folder, COUNTS), folder


@pytest.fixture
def shard_server(shards):
    """The address that serves the shards."""
    with made_shards.served(shards[1]) as address:
        yield address


@pytest.fixture
def argv(shards, weights, tmp_path):
    """argv(name, KEY, VALUE, ...): the command line of a run in the folder of that name."""
    def make(name: str, *options: str, **arguments) -> list[str]:
        path, folder = arguments.pop("path", shards[0]), shards[1]
        return made_shards.arguments(path, folder / "names.txt", weights, tmp_path / name,
                                     *options, **arguments)
    return make


def built(argv: list[str]):
    cfg = build_cfg(train.settings_of(argv))
    set_random_seed(1)
    return build_trainer(cfg)


def losses_of(trainer, monkeypatch) -> list[float]:
    found, loss = [], UEO.loss

    def noted(self, batch):
        losses = loss(self, batch)
        found.append(losses["loss"].item())
        return losses

    with monkeypatch.context() as patch:
        patch.setattr(UEO, "loss", noted)
        trainer.train()
    return found


class AsInShards(Sampler):
    """The order of the images in an epoch of `loader`, a TrainingShards."""

    def __init__(self, loader):
        self.loader, self.generator = loader, torch.Generator()

    def __iter__(self):
        seed = self.generator.initial_seed()
        return (drawn.index for batch in self.loader._batches(seed, 0) for drawn in batch)

    def __len__(self):
        return len(self.loader.dataset)


def test_ueo_on_shards_equals_ueo_on_a_folder(argv, shards, tmp_path, monkeypatch):
    """20 steps with augmentation. The folder's images are read in the order of the shards."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for i in range(sum(COUNTS)):
        (folder / f"{i:04}.png").write_bytes(made_shards.png(i))
    in_shards = built(argv("shards", epochs=4, batch=10))
    first = losses_of(in_shards, monkeypatch)
    in_folder = built(argv("folder run", path=str(folder), dataset="folder", epochs=4, batch=10))
    images, cfg = in_folder.train_loader_x.dataset, in_folder.cfg
    in_folder.train_loader_x = TrainingLoader(
        images, cfg, in_folder.device, order=AsInShards(in_shards.train_loader_x))
    second = losses_of(in_folder, monkeypatch)
    assert len(first) == 20 and len(set(first)) > 15  # a batch of one image has no loss
    assert first == pytest.approx(second, abs=1e-6)
    outputs = [dict(np.load(tmp_path / name / "outputs.npz")) for name in ("shards", "folder run")]
    for name in ("test_scores_before", "test_scores_after", "unlabelled_confidences_after"):
        assert outputs[0][name] == pytest.approx(outputs[1][name], abs=1e-5)
    records = [read(tmp_path / name)["metrics"]["unlabelled"] for name in ("shards", "folder run")]
    assert records[0].keys() == records[1].keys()
    for name, value in records[0].items():
        assert value == pytest.approx(records[1][name], abs=1e-3), name
    rows = [list(csv.reader(open(tmp_path / name / "predictions.csv")))
            for name in ("shards", "folder run")]
    assert rows[0][0] == rows[1][0] and len(rows[0]) == 42
    assert rows[0][1][0] == "0.tar/0000.png" and rows[1][1][0] == "0000.png"
    assert [r[1] for r in rows[0]] == [r[1] for r in rows[1]]


def weights_after(folder) -> dict[str, torch.Tensor]:
    return load_checkpoint(str(folder / "tuned/model.pth.tar-2"))["state_dict"]


def test_two_processes_with_two_shards_each_equal_one_process(argv, tmp_path):
    """In the last of six batches per epoch, only one process has an image."""
    assert train.main(argv("one")) == 0
    shutil.rmtree(first_pass_folder())  # both processes make a first pass
    statuses, out, err = two_processes("-m", "ueo.commands", "train", *argv("two"))
    assert statuses == [0, 0], err
    one, two = tmp_path / "one", tmp_path / "two"
    assert read(two)["environment"]["processes"] == 2
    assert largest_difference(weights_after(one), weights_after(two)) < 1e-6
    first, second = (dict(np.load(folder / "outputs.npz")) for folder in (one, two))
    assert first["test_paths"].tolist() == second["test_paths"].tolist()
    for when in ("before", "after"):
        found = (outputs[f"test_scores_{when}"] for outputs in (first, second))
        assert next(found) == pytest.approx(next(found), abs=1e-6)
    assert not np.allclose(first["test_scores_before"], first["test_scores_after"], atol=1e-4)
    rows = [(folder / "predictions.csv").read_text().splitlines() for folder in (one, two)]
    assert [row.split(",")[:2] for row in rows[0]] == [row.split(",")[:2] for row in rows[1]]


def first_pass_folder() -> Path:
    return Path(os.environ["XDG_CACHE_HOME"], "ueo", first_pass.FOLDER)


@pytest.mark.parametrize("epoch, batch", [(0, 3), (1, 4)])
def test_a_run_killed_within_an_epoch_resumes_to_the_same_losses(
    argv, tmp_path, monkeypatch, capsys, epoch, batch
):
    """The losses are equal bit for bit, even with another number of worker processes."""
    whole = losses_of(built(argv("whole")), monkeypatch)
    monkeypatch.setattr(partial_state, "SECONDS", -1.0)
    loss = UEO.loss

    def dies(self, images):
        if (self.epoch, self.batch_idx) == (epoch, batch):
            made_shards.kill_self()
        return loss(self, images)

    def work():
        UEO.loss = dies
        train.main(argv("killed"))

    made_shards.killed(work)
    assert (tmp_path / "killed" / partial_state.FILE).is_file()
    rest, noted = [], []

    def noting(self, images):
        found = loss(self, images)
        rest.append(found["loss"].item())
        noted.append((self.epoch, self.batch_idx))
        return found

    monkeypatch.setattr(UEO, "loss", noting)
    assert train.main(argv("killed", "DATALOADER.NUM_WORKERS", "1")) == 0
    assert f"Resume after batch {batch}" in capsys.readouterr().out
    assert noted[0] == (epoch, batch) and rest == whole[-len(rest):]
    assert len(rest) == 12 - 6 * epoch - batch
    first, second = (weights_after(tmp_path / name) for name in ("whole", "killed"))
    assert largest_difference(first, second) == 0
    outputs = [dict(np.load(tmp_path / name / "outputs.npz")) for name in ("whole", "killed")]
    assert all(np.array_equal(outputs[0][name], outputs[1][name]) for name in outputs[0])
    assert not (tmp_path / "killed" / partial_state.FILE).exists()


def test_a_killed_first_pass_resumes_with_the_remaining_shards(
    argv, weights, tmp_path, monkeypatch
):
    folder = tmp_path / "own"
    path = made_shards.make(folder, COUNTS, start=500)
    write = first_pass.Tables.write

    def dies(self, shard, table):
        write(self, shard, table)
        if shard == 1:
            made_shards.kill_self()

    def work():
        first_pass.Tables.write = dies
        train.main(argv("run", path=path, trainer="ZeroshotCLIP"))

    made_shards.killed(work)
    read_again = []
    monkeypatch.setattr(first_pass, "images_of", lambda shard, skip, old=first_pass.images_of: (
        read_again.append(shard.name), old(shard, skip))[1])
    assert train.main(argv("run", path=path, trainer="ZeroshotCLIP")) == 0
    assert read_again == ["2.tar", "3.tar"]
    assert train.main(argv("other", path=path, trainer="InfoMax")) == 0
    assert read_again == ["2.tar", "3.tar"]  # another method uses the same pass


def test_damaged_images_and_shards_are_left_out_and_named(argv, shards, tmp_path, capsys):
    """There are a truncated picture, a file that is no picture, and a truncated shard."""
    folder = tmp_path / "own"
    made_shards.make(folder, COUNTS)
    files = {f"b{i}.png": made_shards.png(900 + i) for i in range(6)}
    files |= {"b2.png": files["b2.png"][:2000], "b4.png": b"no picture"}
    made_shards.write_tar(folder / "1.tar", files)
    whole = (folder / "2.tar").read_bytes()
    (folder / "2.tar").write_bytes(whole[: len(whole) // 2])
    assert train.main(argv("run", path=str(folder), epochs=3)) == 0
    result, out = read(tmp_path / "run"), capsys.readouterr().out
    left = sum(COUNTS) - 13 + 4 - 7
    images = result["counts"]["unlabelled"]
    assert left < images < left + 7 and f"Images: {images} in 4 shards, 3 left out" in out
    rows = list(csv.reader(open(tmp_path / "run" / "skipped.csv")))[1:]
    assert [row[:2] for row in rows] == [["1.tar/b2.png", "damaged image"],
        ["1.tar/b4.png", "no image that Pillow can read"], ["2.tar", "shard cut off"]]
    paths = np.load(tmp_path / "run" / "outputs.npz")["test_paths"]
    assert len(paths) == images and not {"1.tar/b2.png", "1.tar/b4.png"} & {*paths.tolist()}
    for _ in range(2):  # with and without an earlier first pass
        assert train.main(argv("stop", "DATASET.BAD_IMAGES", "stop", path=str(folder))) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{folder}/" in line and "DATASET.BAD_IMAGES skip leaves such images out" in line
        shutil.rmtree(first_pass_folder())


def test_a_shard_without_a_readable_image_stops_nothing(argv, tmp_path, capsys):
    """Of the shards one is empty, one has a damaged picture alone, and two are no tar files."""
    folder = tmp_path / "own"
    made_shards.make(folder, (8, 0, 8))
    made_shards.write_tar(folder / "3.tar", {"a.png": b"no picture"})
    (folder / "4.tar").write_bytes(b"no tar file" * 100)
    (folder / "5.tar").touch()
    assert train.main(argv("run", path=str(folder), epochs=1)) == 0
    assert read(tmp_path / "run")["counts"]["unlabelled"] == 16
    rows = list(csv.reader(open(tmp_path / "run" / "skipped.csv")))[1:]
    assert [row[0] for row in rows] == ["3.tar/a.png", "4.tar", "5.tar"]


def test_a_shard_that_is_replaced_during_a_run_ends_it_without_a_record(
    argv, tmp_path, monkeypatch, capsys
):
    folder, counted = tmp_path / "own", ShardEvaluations.count_training
    made_shards.make(folder, (8, 8))

    def replaced(self, *args):
        with open(folder / "1.tar", "ab") as shard:
            shard.write(bytes(512))  # after its end, so that no pass reads anything else
        counted(self, *args)

    monkeypatch.setattr(ShardEvaluations, "count_training", replaced)
    assert train.main(argv("run", path=str(folder))) == 2
    assert "1.tar: was replaced during the run (1 such files)" in capsys.readouterr().err
    assert not (tmp_path / "run" / "result.json").exists()


def test_new_images_may_come_from_shards_and_predictions_name_their_keys(
    argv, shards, tmp_path, capsys
):
    assert train.main(argv("run")) == 0
    model, own = str(tmp_path / "run"), list(csv.reader(open(tmp_path / "run/predictions.csv")))
    path = made_shards.make(tmp_path / "new", (4, 5))
    (tmp_path / "new/1.tar").write_bytes((tmp_path / "new/1.tar").read_bytes()[:10000])
    assert predict.main(["--model", model, "--path", path, "--device", "cpu", "--workers", "0",
                         "--batch-size", "3", "--output", str(tmp_path / "new.csv")]) == 0
    rows = list(csv.reader(open(tmp_path / "new.csv")))
    assert [r[0] for r in rows[1:5]] == [f"0.tar/000{i}.png" for i in range(4)]
    assert [r[1:] for r in rows[1:5]] == [r[1:] for r in own[1:5]]  # the same pictures
    skipped = list(csv.reader(open(tmp_path / "new.skipped.csv")))
    assert skipped[1][:2] == ["1.tar", "shard cut off"]
    command = [sys.executable, "-m", "ueo.commands", "predict", "--help"]
    assert "shards" in subprocess.run(command, capture_output=True, text=True).stdout


def test_an_evaluation_alone_equals_the_record(argv, tmp_path):
    assert train.main(argv("run")) == 0
    assert train.main(["--eval-only", "--model-dir", str(tmp_path / "run"), *argv("look")]) == 0
    (entry,) = read_json(tmp_path / "look" / "evaluations.json", list, "")
    metrics = read(tmp_path / "run")["metrics"]
    assert entry["unlabelled"] == metrics["unlabelled"]
    assert entry["test"] == {k: v for k, v in metrics["test"].items() if k != "h_score"}


def test_shards_from_a_command_and_a_server_give_the_same_run(
    argv, shards, tmp_path, shard_server
):
    assert train.main(argv("file", epochs=1)) == 0
    expected = (tmp_path / "file" / "predictions.csv").read_text()
    for name, path in (("pipe", f"pipe:cat {shards[0]}"), ("http", f"{shard_server}/{{0..3}}.tar")):
        assert train.main(argv(name, path=path, epochs=1)) == 0
        assert (tmp_path / name / "predictions.csv").read_text() == expected


@pytest.mark.parametrize("options, arguments, message", [
    ((), {"trainer": "UPL"}, "UPL needs all images at once"),
    ((), {"trainer": "Midway"}, "Midway needs all images at once"),
    ((), {"trainer": "CoOp"}, "CoOp reads labels"),
    (("TRAINER.UEO.REFRESH", "True"), {}, "UEO needs all images at once"),
    (("DATASET.PROTOCOL", "online"), {}, "--protocol online: images in shards"),
    (("DATASET.SUBSAMPLE_CLASSES", "base"), {}, "DATASET.SUBSAMPLE_CLASSES: images in shards have"),
    (("TEST.KEEP_OUTPUTS", "True"), {}, "TEST.KEEP_OUTPUTS"),
    (("DATASET.NAMES", ""), {}, "DATASET.NAMES: say which classes"),
    ((), {"path": "gone/{0..3}.tar"}, "gone/0.tar: no such shard"),
])
def test_what_shards_do_not_support_is_refused_in_one_line(
    argv, capsys, options, arguments, message
):
    assert train.main(argv("run", *options, **arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
