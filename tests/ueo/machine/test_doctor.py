"""scripts/doctor.sh on this machine, without and with faults, and its findings about GPUs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pretended_gpu import pretended_gpu
from pretended_graph import pretended_graphs

from ueo.commands import doctor
from ueo.errors import DataError
from ueo.machine import environment, expected, materials, space, trial
from ueo.machine.findings import NOTE, OK, WRONG, Finding, findings_of

QUICK = ["--backbone", "TinyCLIP", "--pixels", "32", "--datasets", "office31"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home without fetched weights, on a machine without a GPU."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(environment, "driver_version", lambda: None)
    return tmp_path


def test_missing_data_and_weights_are_notes_and_not_faults(home, capsys):
    argv = [*QUICK, "--root", str(home / "none"), "--output", str(home / "out"),
            "--json", str(home / "found.json")]
    assert doctor.main(argv) == 0
    out = capsys.readouterr().out
    lines = [line.split(None, 1) for line in out.splitlines() if line]
    found = {what.split(":")[0]: (state, what) for state, what in lines[:-1]}
    assert {state for state, _ in found.values()} <= {OK, NOTE}
    assert lines[-1] == ["nothing", "wrong"]
    for name in (*(f"weights {b}" for b in materials.ARCHITECTURES), "data root", "gpu"):
        assert found[name][0] == NOTE
    assert "by hand" in found["weights RN50"][1] and "--root" in found["data root"][1]
    for name in ("python", "torch", "engine", "output", "disk", "memory", "run on the CPU", "time"):
        assert found[name][0] == OK
    assert not (home / "out").exists()  # the examination creates no folder
    kept = json.loads((home / "found.json").read_text())
    assert [f["name"] for f in kept["findings"]] == list(found)
    assert kept["environment"]["device"] == "cpu"
    time = kept["findings"][-1]["facts"]
    assert time["hours"]["office31"] > 0 and time["parts"]["memory"] > 1e6


def test_each_fault_is_one_line_and_the_other_checks_go_on(home, monkeypatch, capsys):
    (home / "file").write_text("")
    (home / "data" / "OFFICE" / "amazon" / "back_pack").mkdir(parents=True)

    def fails(*args):
        raise DataError("CUDA was initialised in the fork server")

    monkeypatch.setattr(trial, "short_run", fails)
    monkeypatch.setattr(expected, "measure", lambda *args: 1 / 0)
    argv = [*QUICK, "--root", str(home / "data"), "--output", str(home / "file" / "out")]
    assert doctor.main(argv) == 1
    out, err = capsys.readouterr()
    wrong = [line for line in out.splitlines() if line.startswith(WRONG)]
    assert not err and out.splitlines()[-1] == f"{len(wrong)} wrong"
    for said in ("output: " + str(home / "file" / "out") + " cannot be written (Not a directory): "
                 "name another with --output", "short runs: CUDA was initialised in the fork",
                 "time: failed with ZeroDivisionError", "data office31 amazon: "):
        assert sum(said in line for line in wrong) == 1, said
    assert len(wrong) == 4 and "\nnote  data office31 dslr: " in out  # missing data is not a fault


def gpus(monkeypatch, available: bool, built: str | None = "13.2", known=("sm_80", "sm_90")):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (8, 6))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(known))
    monkeypatch.setattr(torch.version, "cuda", built)


@pytest.mark.parametrize(("machine", "driver", "state", "said"), [
    ({"available": True}, "570.1", OK, "a GPU, driver 570.1, torch built for CUDA 13.2"),
    ({"available": True, "known": ("sm_90",)}, "570.1", WRONG, "no kernels for its architecture"),
    ({"available": True, "known": ("sm_70", "compute_70")}, "570.1", OK, "a GPU"),
    ({"available": True, "known": ("sm_75", "compute_120")}, "570.1", WRONG, "no kernels"),
    ({"available": True, "known": ("sm_89",)}, "570.1", WRONG, "no kernels"),
    ({"available": False}, None, NOTE, "runs use the CPU"),
    ({"available": False, "built": None}, "570.1", WRONG, "built without CUDA: install"),
    ({"available": False}, "450.2", WRONG, "cannot use driver 450.2"),
])
def test_a_gpu_that_torch_cannot_use_is_wrong_and_says_what_to_install(
    monkeypatch, machine, driver, state, said
):
    gpus(monkeypatch, **machine)
    (found,) = environment.cuda(driver)
    assert found.state == state and said in found.text


def a_run(shift: float):
    scores = np.linspace(0, 1, 100)
    result = {"wall_seconds": 1.0, "metrics": {"test": {"pacc": 50.0, "auroc": 50.0}},
              "evaluations": [{"epoch": 1}]}
    return result, {"test_scores_after": scores + shift, "test_predictions_after": scores > 0.5}


@pytest.mark.parametrize(("shift", "states"), [(0.001, (OK, OK)), (0.02, (WRONG, OK)),
                                               (0.1, (WRONG, WRONG))])
def test_the_tolerance_between_runs_depends_on_their_precision(shift, states):
    found = [trial.agreement("it", a_run(shift), a_run(0), precision, "the CPU's").state
             for precision in ("fp32", "fp16")]
    assert tuple(found) == states


def test_with_a_gpu_three_runs_are_compared(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(trial, "short_run", lambda folder, device, precision, epochs:
                        asked.append((device, precision)) or a_run(0.06 * (precision == "fp16")))
    names = {finding.name: finding.state for finding in trial.trial(tmp_path, 1)}
    assert asked == [("cpu", "fp32"), ("cuda", "fp32"), ("cuda", "fp16")]
    assert names == {"run on the CPU": OK, "fork": OK, "run on the GPU": OK,
                     "fp16 on the GPU": WRONG}


def test_a_step_is_measured_on_a_gpu_too(tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "ROUNDS", 1)  # half precision is slow on a pretended GPU
    monkeypatch.setattr(expected, "BATCH", 2 * expected.SMALL)
    with pretended_gpu(), pretended_graphs():
        parts = expected.measure("TinyCLIP", {8, 25}, torch.device("cuda"), tmp_path, 64)
    assert set(parts.text) == {8, 25} and parts.step(8) > parts.images > 0 < parts.evaluation


def test_too_little_disk_or_memory_names_the_option_that_helps(monkeypatch, tmp_path):
    disk = SimpleNamespace(free=1000)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: disk)
    wrong = [*space.disk(str(tmp_path), str(tmp_path), ("office31",)),
             *space.shared_memory(), *space.memory(10**18, torch.device("cpu"), 2)]
    told = {finding.name: (finding.state, finding.text) for finding in wrong}
    assert told["disk"][0] == told["memory"][0] == told["shared memory"][0] == WRONG
    assert "--output" in told["disk"][1] and "--jobs" in told["memory"][1]
    assert told["store"][0] == NOTE and "STORE_GB" in told["store"][1]


def test_a_check_that_fails_is_a_finding():
    def check():
        yield Finding(OK, "first", "")
        raise ValueError("a\nb")

    first, last = findings_of("it", check)
    assert first.state == OK and last.state == WRONG and "\n" not in last.line()


def test_any_known_backbone_is_measured_and_an_unknown_one_is_named(tmp_path, capsys):
    parts = expected.measure("TinyViT", {4}, torch.device("cpu"), tmp_path, pixels=32)
    assert parts.images > 0 and parts.text[4] > 0
    assert doctor.main(["--backbone", "open_clip:ViT-B-3/openai"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and "ViT-B-3" in line
