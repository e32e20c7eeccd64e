"""The number of worker processes follows from the cores and from the runs that share them."""

import pytest
from conftest import toy_arguments

from ueo.commands import train
from ueo.runs.configure import build_cfg
from ueo.settings import machine_share


@pytest.mark.parametrize("cores, runs, processes, workers", [
    (8, None, None, 8), (8, 3, None, 2), (8, 3, 2, 1), (1, None, None, 1), (2, 5, None, 1),
    (128, None, None, 16), (128, 2, 8, 8),
])
def test_runs_at_once_share_the_cores(monkeypatch, cores, runs, processes, workers):
    monkeypatch.setattr(machine_share, "cores", lambda: cores)
    if runs:
        for name, value in machine_share.share(runs, 0).items():
            monkeypatch.setenv(name, value)
    if processes:
        monkeypatch.setenv(machine_share.PROCESSES, str(processes))
    assert machine_share.worker_processes() == workers


@pytest.mark.parametrize("runs, gpus, on_each", [(1, 1, 1), (4, 1, 4), (5, 2, 3), (2, 8, 1),
                                                 (3, 0, 3)])
def test_runs_on_one_gpu_are_counted(monkeypatch, runs, gpus, on_each):
    for name, value in machine_share.share(runs, gpus).items():
        monkeypatch.setenv(name, value)
    assert machine_share.runs_on_gpu() == on_each


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(machine_share.os, "sched_getaffinity", lambda process: {0, 5, 6})
    assert machine_share.cores() == 3


@pytest.mark.parametrize("options, workers", [((), 0), (("DATALOADER.NUM_WORKERS", "7"), 7)])
def test_a_yaml_file_or_the_command_line_can_set_the_workers(
        toy_root, weights, tmp_path, monkeypatch, options, workers):
    """tiny_clip.yaml sets 0. Without it and without an option, the cores decide."""
    monkeypatch.setattr(machine_share, "cores", lambda: 5)
    argv = [*toy_arguments(toy_root, weights, tmp_path), *options]
    assert build_cfg(train.settings_of(argv)).DATALOADER.NUM_WORKERS == workers
    at = argv.index("--config-file")
    cfg = build_cfg(train.settings_of([*argv[:at], *argv[at + 2 :]]))
    assert cfg.DATALOADER.NUM_WORKERS == (workers or 5)
