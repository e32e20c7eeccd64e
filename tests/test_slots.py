"""On a GPU many runs share a process: each gives the results of a run alone, a crash ends one."""

import json
import sys
from pathlib import Path

import forked
import in_slots
import numpy as np
import pytest
from conftest import read, toy_arguments

from ueo.commands import train
from ueo.grids import parallel
from ueo.grids.fork_server import PRELOAD
from ueo.grids.grid_settings import PlannedRun

GPU = ["0"]  # a name suffices, since the processes never use it


def runs_in(folder: Path, *names: str) -> list[PlannedRun]:
    return [PlannedRun(str(folder / name), folder / name, name) for name in names]


def found(run: PlannedRun) -> dict:
    return json.loads((run.folder / "found.json").read_text())


def execute(runs, entry, devices=GPU, workers=1):
    return parallel.execute(runs, entry, workers, PRELOAD, devices, lambda line: None)


@pytest.mark.parametrize(("devices", "workers", "processes"), [
    (GPU, 1, 1), (["0", "1"], 2, 2), ([], 1, 4),
])
def test_runs_share_a_process_on_a_gpu_only(devices, workers, processes, tmp_path):
    runs = runs_in(tmp_path, *"abcd")
    assert execute(runs, forked.note, devices, workers) == []
    assert len({found(run)["pid"] for run in runs}) == processes
    assert not list(tmp_path.glob("*/console.txt"))


@pytest.mark.parametrize(("way", "message"), [
    ("status", "status 2"), ("error", "an error of its own"), ("kill", "signal 9"),
    ("segfault", "signal 11"),
])
def test_a_failing_run_ends_no_other(way, message, tmp_path):
    runs = runs_in(tmp_path, "a", way, "b", "c")
    (failure,) = execute(runs, in_slots.end_as_named)
    assert failure.run.label == way and message in failure.message
    first, _, second, third = runs
    assert found(first)["pid"] != found(second)["pid"] == found(third)["pid"]


def test_a_gpu_on_which_all_runs_fail_gets_few_of_the_waiting_runs(tmp_path):
    """Another program may fill the GPU, and a run that fails early frees its slot at once."""
    said, runs = [], runs_in(tmp_path, *map(str, range(16)))
    failures = parallel.execute(
        runs, in_slots.find_one_gpu_full, 2, PRELOAD, ["0", "1"], said.append)
    assert 1 < len(failures) <= 4  # the first two, then after 1 and 4 others
    assert [line for line in said if line.startswith("GPU")] == [
        "GPU 1: 2 runs in a row failed there; it now gets few runs while other GPUs do better"]
    runs = runs_in(tmp_path / "all", *map(str, range(6)))
    assert len(execute(runs, in_slots.end_with_2, ["0", "1"], 2)) == 6  # no GPU does better


def test_a_run_finds_no_changes_of_an_earlier_one(tmp_path):
    (tmp_path / "extra.py").write_text(
        "from dassl.engine import TRAINER_REGISTRY\n"
        "@TRAINER_REGISTRY.register()\nclass Extra:\n    pass\n")
    runs = runs_in(tmp_path, *"abc")
    assert execute(runs, in_slots.change_everything) == []
    first, *others = map(found, runs)
    assert first["warnings"] == 1 and "Extra" not in first["trainers"]
    assert others == [first, first]


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
def test_results_equal_those_of_runs_alone_in_any_order(toy_root, weights, tmp_path):
    """Outputs are equal bit for bit, and no run leaves an open file, a thread or a model behind."""
    def planned(way: str, *kinds: tuple[str, str]) -> list[PlannedRun]:
        runs = []
        for trainer, kind in kinds:
            folder = tmp_path / way / f"{trainer}-{kind}"
            argv = toy_arguments(toy_root, weights, folder, kind, trainer, epochs=1)
            runs.append(PlannedRun(train.settings_of(argv), folder, folder.name))
        return runs

    kinds = [("UEO", "rn"), ("POUF", "vit"), ("UEO", "vit"), ("UPL", "rn")]
    alone, there = planned("alone", *kinds), planned("there", *kinds)
    back = planned("back", *reversed(kinds))[::-1]
    assert execute(alone, in_slots.counted_run, devices=[], workers=2) == []
    assert execute(there, in_slots.counted_run) == execute(back[::-1], in_slots.counted_run) == []
    counts = [json.loads((run.folder / "counts.json").read_text()) for run in there]
    assert counts[1] == counts[2] == counts[3]
    for run, *others in zip(alone, there, back):
        for other in others:
            assert set(read(other.folder)) == set(read(run.folder))
            for key in ("metrics", "evaluations", "notes", "changed_predictions", "inputs"):
                assert read(other.folder)[key] == read(run.folder)[key]
            with np.load(run.folder / "outputs.npz") as one, np.load(
                    other.folder / "outputs.npz") as two:
                assert set(one) == set(two)
                for name in one:
                    np.testing.assert_array_equal(one[name], two[name])
