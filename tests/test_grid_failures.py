"""Folders that cannot be written, processes that vanish: each failed run is named at the end."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import forked

from ueo.commands import grid
from ueo.grids import parallel, run_grid, slot
from ueo.grids.fork_server import PRELOAD
from ueo.grids.grid_settings import PlannedRun


def run_in(folder: Path) -> PlannedRun:
    return PlannedRun(str(folder), folder, folder.name)


def test_a_folder_that_cannot_be_made_fails_its_run_alone(tmp_path):
    (tmp_path / "file").write_text("in the way")
    blocked, good = run_in(tmp_path / "file" / "a"), run_in(tmp_path / "b")
    said = []
    failures = parallel.execute([blocked, good], forked.note, 1, PRELOAD, (), said.append)
    assert [(f.run, f.message) for f in failures] == [
        (blocked, f"{blocked.folder}: Not a directory")]
    assert len(said) == 2 and (good.folder / "found.json").is_file()


def test_a_run_whose_record_cannot_be_read_fails_in_one_line(tmp_path, capfd):
    run = run_in(tmp_path / "a")
    (failure,) = parallel.execute([run], forked.lose_folder, 1, PRELOAD, (), print)
    assert "Traceback" not in failure.message and str(run.folder) in failure.message


def test_a_killed_fork_server_fails_the_runs_that_it_should_fork(tmp_path, monkeypatch):
    class Process:
        def __init__(self, **_):
            pass

        def start(self):
            raise EOFError("unexpected EOF")

    context = SimpleNamespace(Process=Process)
    monkeypatch.setattr(parallel.fork_server, "start", lambda *_: None)
    monkeypatch.setattr(slot.multiprocessing, "get_context", lambda *_: context)
    runs = [run_in(tmp_path / name) for name in "ab"]
    failures = parallel.execute(runs, forked.note, 1, [], (), print)
    assert [failure.run for failure in failures] == runs
    assert {failure.message for failure in failures} == {
        "the fork server was killed"}


def test_a_process_without_a_message_is_described_by_its_status(tmp_path):
    run = run_in(tmp_path)
    message, failed = parallel._outcome(1, run)
    assert failed and "status 1" in message and str(tmp_path / parallel.CONSOLE) in message
    (tmp_path / parallel.CONSOLE).write_text("epoch [1/2]")
    assert "epoch" not in parallel._outcome(parallel.LOST, run)[0]
    assert parallel._outcome(-signal.SIGKILL, run) == ("killed by signal 9", True)


def test_a_run_without_labels_is_reported_as_done(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "read_result", lambda _: {"metrics": {"test": {"images": 9}}})
    assert parallel._outcome(0, run_in(tmp_path)) == ("done", False)


def test_an_error_of_many_lines_is_reported_by_its_first(tmp_path):
    """CUDA errors end with advice on how to build torch."""
    run = PlannedRun(None, tmp_path, "run")
    (tmp_path / parallel.CONSOLE).write_text(
        "epoch [1/2]\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n"
        "    loss.backward()\n    ~~~~~~~~~~~~~^^\n"
        "torch.AcceleratorError: CUDA error: an illegal memory access was encountered\n"
        "Search for `cudaErrorIllegalAddress' in the documentation\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n\n")
    assert parallel._outcome(1, run) == (
        "torch.AcceleratorError: CUDA error: an illegal memory access was encountered "
        f"(traceback: {tmp_path / parallel.CONSOLE})", True)


def test_failed_runs_are_listed_even_if_the_table_cannot_be_written(
    tmp_path, monkeypatch, capsys
):
    """The disk may fill up, or the folder become read-only, during the runs."""
    failure = parallel.Failure(PlannedRun(None, tmp_path, "UEO emoji"), "Error: lower OPTIM.LR")
    monkeypatch.setattr(run_grid, "execute", lambda *_: [failure])

    def full(*_):
        raise OSError(28, os.strerror(28), str(tmp_path / "table.json"))

    monkeypatch.setattr(run_grid, "show", full)
    assert grid.main(["emoji", "--output", str(tmp_path), "--seed", "1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["FAILED UEO emoji: Error: lower OPTIM.LR",
                     f"Error: {tmp_path / 'table.json'}: No space left on device"]


def test_consoles_of_finished_runs_are_removed(tmp_path):
    done, other = tmp_path / "done", tmp_path / "other"
    for folder in (done, other):
        folder.mkdir()
        (folder / parallel.CONSOLE).touch()
    parallel.remove_consoles([done, tmp_path / "absent"])
    assert not list(done.iterdir()) and list(other.iterdir())


def test_a_run_that_is_requested_twice_is_planned_once(tmp_path, capsys):
    once = ["emoji", "--domain", "fluent", "--setting", "open", "--seed", "1", "--output",
            str(tmp_path), "--dry-run"]
    twice = ["emoji", "emoji", "--trainers", "ZeroshotCLIP", "UEO", "UEO", "--domain", "fluent",
             "Fluent", "--setting", "open", "ODA", "--seed", "1", "1", *once[-3:]]
    assert grid.main(once) == grid.main(twice) == 0
    first, second = capsys.readouterr().out.split("2 runs")[1:]
    assert first == second
