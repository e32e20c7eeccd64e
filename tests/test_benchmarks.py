"""Benchmarks run, and the estimate counts correctly. No timing is judged."""

import argparse
import importlib
import json
import math
import runpy
import shlex
import subprocess
import sys

import pytest
import torch
import warm
from conftest import REPOSITORY

from ueo.machine.workload import hours, recipe, work

BENCHMARKS = REPOSITORY / "benchmarks"


@pytest.fixture(scope="module")
def main():
    """main.py, as a module; its neighbours can be imported by name."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import main

        yield main
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("main", "bench", "estimate", "step", "towers", "transduction"):
            sys.modules.pop(name, None)


def test_the_work_of_office31_equals_a_count_by_hand():
    """31 classes; closed 25, partial 20, open 28, open-partial 18 of them unlabelled; 50 epochs of
    batches of 64, 3 seeds, evaluated after every tenth epoch."""
    steps = plain = fast = 0
    for images in (2817, 498, 795):
        fast += images
        for classes in (25, 20, 28, 18):
            unlabelled = round(images * classes / 31)
            steps += 3 * 50 * math.ceil(unlabelled / 64)
            plain += 3 * (5 + 1) * (images + unlabelled)
            fast += 3 * 5 * images
    assert work("office31") == {
        "images": 4110, "steps": steps, "evaluated_plain": plain, "evaluated_fast": fast}
    assert recipe("RN50", "domainnet").OPTIM.MAX_EPOCH == 5


def test_every_option_of_the_whole_benchmark_is_known(main, monkeypatch, capsys):
    options = {}
    for command in (*main.CPU, *main.GPU):
        script, *words = shlex.split(command)
        options.setdefault(script, set()).update(w for w in words if w.startswith("--"))
    assert set(options) == {"towers.py", "step.py", "job.py", "estimate.py", "streams.py",
                            "transduction.py"}
    for script, used in options.items():
        monkeypatch.setattr(sys, "argv", [script, "--help"])
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        said = capsys.readouterr().out
        assert not [option for option in used if f"{option} " not in said]


def test_a_short_measurement_compares_plain_and_fast(tmp_path):
    output = tmp_path / "b.json"
    argv = ["--backbones", "none", "--names", "1", "--pixels", "80", "--images", "8", "--batch",
            "4", "--rounds", "2", "--threads", "1", "--device", "cpu", "--output", str(output)]
    done = warm.run(str(BENCHMARKS / "step.py"), *argv)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert len(found["rows"]) == 2  # a step and an evaluation
    for row in found["rows"]:
        assert row["plain_seconds"] > 0 and row["fast_seconds"] > 0


def test_time_and_memory_of_a_short_stream_are_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["--images", "40", "--places", "shards", "--every", "0.2", "--output", "b.json"]
    done = warm.run(str(BENCHMARKS / "streams.py"), *argv)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert row["images_per_second"] > 0
    assert 0 < row["peak_bytes"] == max(size for _, size in row["memory"])


def test_what_does_not_fit_on_the_gpu_is_left_out_with_a_message(main, capsys):
    bench = importlib.import_module("bench")

    def too_large(what, size):
        raise torch.OutOfMemoryError(f"{size} GiB")

    assert bench.unless_too_large(too_large, "ViT-L/14", 90) == []
    assert capsys.readouterr().out == "ViT-L/14: out of GPU memory, left out\n"
    assert bench.unless_too_large(max, 1, 2) == 2


@pytest.mark.parametrize("batch", [2, 4])
def test_hours_follow_from_a_whole_step_or_from_its_parts(batch, main, monkeypatch, tmp_path):
    estimate = importlib.import_module("estimate")
    monkeypatch.setattr(estimate, "BENCHMARK", ("office31",))
    monkeypatch.setattr(estimate, "BATCH", 4)
    args = argparse.Namespace(pixels=64, images=4, batch=batch, workers=[0], rounds=1,
                              identical=False, device="cpu", peak_tflops=0.0)
    (row,) = estimate.estimate("TinyCLIP", tmp_path, args)
    step, image = row["step"]["fast_seconds"], row["evaluation"]["fast_seconds"] / batch
    if batch == 2:
        parts = row["step"]["text"]["fast_seconds"], row["step"]["images"]["fast_seconds"]
        assert step == pytest.approx(parts[0] + 2 * parts[1])
    assert row["hours"]["fast"] == pytest.approx(
        hours(work("office31"), step, image, row["decoding_seconds"]))
    assert row["hours"]["plain"] > 0


def test_the_transductive_methods_are_timed_on_random_features(main, tmp_path):
    words = ("--images", "300", "--classes", "6", "--embedding", "16", "--methods", "StatA")
    file = tmp_path / "t.json"
    subprocess.run([sys.executable, "benchmarks/transduction.py", *words, "--output", str(file)],
                   cwd=REPOSITORY, check=True, capture_output=True)
    rows = json.loads(file.read_text())["rows"]
    transduction = importlib.import_module("transduction")
    here = [transduction.measure(method, 300, 6, 16) for method in transduction.METHODS]
    assert [row["method"] for row in here] == ["TransCLIP", "StatA", "ZLaP"]
    assert [row["method"] for row in rows] == ["StatA"]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 50 for row in [*rows, *here])
