"""A run that is killed at any moment and started again ends with the same numbers."""

import json
import os
import shutil

import numpy as np
import pytest
from conftest import read, toy_arguments

import ueo.results.record
import ueo.runs.evaluation
from ueo.commands import train
from ueo.files import exclusive
from ueo.runs import start as runs
from ueo.trainers.ueo import UEO

EPOCHS = 4
EACH_EPOCH = ("TRAINER.UEO.EVAL_FREQ", "1")


@pytest.fixture(scope="module")
def start(toy_root, weights):
    """start(folder, *options, seed) runs the toy job in that folder; returns the exit status."""

    def run(folder, *options: str, seed: int = 1) -> int:
        argv = toy_arguments(toy_root, weights, folder, epochs=EPOCHS, seed=seed)
        return train.main([*argv, *EACH_EPOCH, *options])

    return run


@pytest.fixture(scope="module")
def unbroken(start, tmp_path_factory):
    """Folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    assert start(folder) == 0
    return folder


def same(folder, other) -> bool:
    """Metrics, their history and everything per sample agree to the last digit."""
    first, second = read(folder), read(other)
    a, b = np.load(folder / "outputs.npz"), np.load(other / "outputs.npz")
    return (
        all(first[key] == second[key] for key in ("metrics", "evaluations", "config"))
        and a.files == b.files
        and all(np.array_equal(a[name], b[name]) for name in a.files)
    )


def times(folder) -> dict:
    """Modification time of each file of a run except the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != runs.LOCK]
    return {path: path.stat().st_mtime_ns for path in files}


def dies(start, folder, place: str, *options: str) -> None:
    """Run in a forked child that dies at `place` as by kill -9."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        return
    try:
        PLACES[place]()
        start(folder, *options)
    finally:
        os._exit(1)


def die(*args, **kwargs):
    os._exit(9)


def _before(owner, name: str, condition=lambda self: True) -> None:
    """Make `owner.name` end the process when `condition` holds for its first argument."""
    original = getattr(owner, name)

    def wrapped(*args, **kwargs):
        if condition(args[0]):
            die()
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def _after_checkpoint() -> None:
    save = UEO.save_model

    def wrapped(self, epoch, *args, **kwargs):
        save(self, epoch, *args, **kwargs)
        if epoch == 1:
            die()

    UEO.save_model = wrapped


def _half_a_file() -> None:
    """Simulate a kill while torch.save writes the third epoch's checkpoint."""
    import dassl.utils.torchtools as tools

    save = tools.torch.save

    def wrapped(state, path):
        save(state, path)
        if state["epoch"] == 3:
            os.truncate(path, 1000)
            die()

    tools.torch.save = wrapped


PLACES = {
    "first epoch": lambda: _before(UEO, "loss", lambda t: t.batch_idx == 1),
    "middle of epoch 3": lambda: _before(
        UEO, "loss", lambda t: t.epoch == 2 and t.batch_idx == 1
    ),
    "evaluated, not saved": lambda: _before(UEO, "save_model", lambda t: t.epoch == 2),
    "saved, older one not removed": _after_checkpoint,
    "half a checkpoint": _half_a_file,
    "last evaluation": lambda: _before(UEO, "test"),
    "record": lambda: _before(ueo.runs.evaluation, "write_run"),
    "outputs without result": lambda: _before(ueo.results.record, "write_json"),
}
RESUMED_FROM = dict(zip(PLACES, (0, 2, 2, 2, 2, 4, 4, 4)))


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_resumes_to_the_same_numbers(start, unbroken, tmp_path, place):
    dies(start, tmp_path, place)
    assert not (tmp_path / "result.json").exists()
    assert start(tmp_path) == 0
    assert same(tmp_path, unbroken)
    assert read(tmp_path)["resumed_from_epoch"] == RESUMED_FROM[place]


def test_a_run_may_be_killed_again_and_again(start, unbroken, tmp_path):
    for place in ("saved, older one not removed", "middle of epoch 3", "middle of epoch 3",
                  "evaluated, not saved", "last evaluation"):
        dies(start, tmp_path, place)
    assert start(tmp_path) == 0
    assert same(tmp_path, unbroken)
    assert [e["epoch"] for e in read(tmp_path)["evaluations"]] == list(range(EPOCHS + 1))


def test_leftovers_of_a_kill_do_no_harm(start, unbroken, tmp_path):
    dies(start, tmp_path, "middle of epoch 3")
    for name in (".result-x1.json", ".evaluations-x1.json", ".outputs-x1.npz",
                 "tuned/model.pth.tar-3.part", "tuned/checkpoint.part"):
        (tmp_path / name).write_text('{"half')
    assert start(tmp_path) == 0
    assert same(tmp_path, unbroken)
    assert len(list(tmp_path.rglob("result.json"))) == 1


def test_an_unfinished_run_of_another_configuration_is_not_resumed(start, unbroken, tmp_path):
    dies(start, tmp_path, "middle of epoch 3", "OPTIM.LR", "0.5")
    assert start(tmp_path) == 0
    assert same(tmp_path, unbroken) and read(tmp_path)["resumed_from_epoch"] == 0


def test_a_run_in_progress_in_another_process_is_left_alone(
    start, unbroken, tmp_path, monkeypatch, capsys
):
    """A run of another configuration does not remove its files either."""
    monkeypatch.setattr(runs, "PATIENCE", 0.1)
    folder = tmp_path / "run"
    dies(start, folder, "middle of epoch 3")
    before = times(folder)
    with exclusive(folder / runs.LOCK):
        for options in ((), ("OPTIM.LR", "0.05")):
            assert start(folder, *options) == 2
            assert f"Error: {folder}: another process is at work" in capsys.readouterr().err
    assert times(folder) == before
    assert start(folder) == 0 and same(folder, unbroken)
    assert not (folder / runs.LOCK).exists()


def test_worker_processes_do_not_change_results_even_after_a_kill(start, unbroken, tmp_path):
    assert start(tmp_path / "whole", "DATALOADER.NUM_WORKERS", "1") == 0
    assert same(tmp_path / "whole", unbroken)
    dies(start, tmp_path / "cut", "middle of epoch 3")
    assert start(tmp_path / "cut", "DATALOADER.NUM_WORKERS", "2") == 0
    assert same(tmp_path / "cut", unbroken)


def test_a_device_copy_does_not_change_results_even_after_a_kill(start, unbroken, tmp_path):
    on_device = "DATASET.DEVICE_GB", "0.1"
    assert start(tmp_path / "whole", *on_device) == 0
    assert same(tmp_path / "whole", unbroken)
    dies(start, tmp_path / "cut", "middle of epoch 3", *on_device)
    assert start(tmp_path / "cut") == 0
    assert same(tmp_path / "cut", unbroken)
    dies(start, tmp_path / "other", "middle of epoch 3")
    assert start(tmp_path / "other", *on_device) == 0
    assert same(tmp_path / "other", unbroken)


def test_a_seed_gives_one_result_and_another_seed_another(start, unbroken, tmp_path):
    assert start(tmp_path / "again") == 0 and same(tmp_path / "again", unbroken)
    assert start(tmp_path / "other", seed=2) == 0
    a, b = (np.load(f / "outputs.npz")["test_scores_after"] for f in (unbroken, tmp_path / "other"))
    assert not np.array_equal(a, b)


# finished runs


def test_a_finished_run_is_not_run_again(start, unbroken, capsys):
    before = (unbroken / "result.json").read_bytes()
    assert start(unbroken) == 0
    assert f"Finished before: {unbroken}" in capsys.readouterr().out
    assert (unbroken / "result.json").read_bytes() == before


@pytest.mark.draws
def test_a_run_killed_before_its_picture_is_drawn_gets_it_later(start, unbroken, tmp_path):
    folder = shutil.copytree(unbroken, tmp_path / "run")
    (folder / "scores.png").unlink()
    before = (folder / "result.json").read_bytes()
    assert start(folder) == 0
    assert (folder / "scores.png").stat().st_size > 1000
    assert (folder / "result.json").read_bytes() == before


def test_a_finished_run_of_another_configuration_is_lost_only_on_request(
    start, tmp_path, capsys, toy_root, weights
):
    assert start(tmp_path) == 0
    before = (tmp_path / "result.json").read_bytes()
    capsys.readouterr()
    assert start(tmp_path, "OPTIM.LR", "0.5") == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("(OPTIM.LR: ", "-> 0.5)", "--overwrite", str(tmp_path)):
        assert part in line
    assert (tmp_path / "result.json").read_bytes() == before
    argv = toy_arguments(toy_root, weights, tmp_path, epochs=1)
    assert train.main(["--overwrite", *argv]) == 0
    assert read(tmp_path)["config"]["OPTIM.MAX_EPOCH"] == 1
    assert read(tmp_path)["resumed_from_epoch"] == 0


def test_an_evaluation_alone_equals_the_record(
    unbroken, toy_root, weights, tmp_path, monkeypatch
):
    before = {p: p.read_bytes() for p in unbroken.rglob("*") if p.is_file()}
    argv = toy_arguments(toy_root, weights, tmp_path, epochs=EPOCHS)
    assert train.main(["--eval-only", "--model-dir", str(unbroken), *argv]) == 0
    (entry,) = json.loads((tmp_path / "evaluations.json").read_text())
    metrics = read(unbroken)["metrics"]
    del metrics["test"]["h_score"]  # uses the run's threshold, which an evaluation lacks
    assert entry["test"] == metrics["test"] and entry["unlabelled"] == metrics["unlabelled"]
    assert not (tmp_path / "result.json").exists()
    assert {p: p.read_bytes() for p in unbroken.rglob("*") if p.is_file()} == before
