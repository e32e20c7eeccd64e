"""A damaged or edited file of a run is refused in one line that names the file."""

import json
import shutil

import numpy as np
import pytest
import torch

from ueo.clip.tuning import as_module
from ueo.errors import CheckpointError, DataError
from ueo.results.record import read_history, read_outputs, read_result
from ueo.runs.checkpoint import load_tuned

RECORD = {
    "trainer": "UEO", "dataset": "Toy", "domain": "red", "setting": "open", "protocol": "released",
    "seed": 1, "backbone": "RN50", "split_hash": "x", "counts": {}, "config": {},
    "evaluations": [],
    "environment": {"engine": "dassl"},
    "inputs": {}, "metrics": {"test": {"auroc": 90.0, "hm": None}},
}
ARRAYS = {
    "test_labels": np.zeros(3), "test_predictions_after": np.zeros(3),
    "test_scores_after": np.zeros(3), "test_paths": np.array(["a", "b", "c"]),
}


def record(tmp_path, **changes):
    (tmp_path / "result.json").write_text(json.dumps({**RECORD, **changes}))
    return read_result(tmp_path)


def test_a_record_is_read_and_a_missing_one_is_none(tmp_path):
    assert read_result(tmp_path) is None
    assert record(tmp_path) == RECORD


@pytest.mark.parametrize(("changes", "said"), [
    ({"metrics": {"test": {"auroc": "90"}}}, "auroc of test is '90'"),
    ({"metrics": {"test": {"auroc": 101.0}}}, "auroc of test is 101.0"),
    ({"metrics": {"test": 1}}, "the metrics 'test' are 1"),
    ({"metrics": [1]}, r"'metrics' is \[1\], which is no dict"),
    ({"seed": "one"}, "'seed' is 'one'"),
    ({"environment": {}}, "which engine"), ({"config": None}, "'config' is None"),
])
def test_a_wrong_value_in_a_record_is_named(tmp_path, changes, said):
    with pytest.raises(DataError, match=f"result.json: .*{said}.*run again") as caught:
        record(tmp_path, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [
    b"", b"{", b"\xff\xfe", b"[]", b"0", b"NaN", b"{}", b"[" * 100_000,
    json.dumps({**RECORD, "metrics": {"test": {"auroc": float("nan")}}}).encode(),
])
def test_a_damaged_record_is_named(tmp_path, content):
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(DataError, match="result.json: .*remove its folder and run again"):
        read_result(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"epoch": "x"}]'])
def test_a_damaged_history_is_named(tmp_path, content):
    (tmp_path / "evaluations.json").write_bytes(content)
    with pytest.raises(DataError, match="evaluations.json: "):
        read_history(tmp_path / "evaluations.json")


@pytest.mark.parametrize(("damage", "said"), [
    (lambda path: path.unlink(), "is missing"), (lambda path: path.write_bytes(b""), "damaged"),
    (lambda path: path.write_bytes(path.read_bytes()[:-100]), "damaged"),
    (lambda path: np.savez(path, test_labels=np.zeros(3)), "lacks test_predictions_after"),
    (lambda path: np.savez(path, **{**ARRAYS, "test_labels": np.zeros(2)}), "2 different lengths"),
    (lambda path: np.savez(path, **{**ARRAYS, "x": np.array([{}], object)}), "damaged .*pickle"),
])
def test_damaged_outputs_are_named(tmp_path, damage, said):
    path = tmp_path / "outputs.npz"
    np.savez(path, **ARRAYS)
    assert set(read_outputs(tmp_path)) == set(ARRAYS)
    damage(path)
    with pytest.raises(DataError, match=f"outputs.npz.*{said}"):
        read_outputs(tmp_path)


def test_peak_memory_is_none_without_the_resource_module(monkeypatch):
    import torch

    from ueo.results import record

    assert record.peak_memory(torch.device("cpu")) > 0
    monkeypatch.setattr(record, "resource", None)
    assert record.peak_memory(torch.device("cpu")) is None


@pytest.fixture
def finished(toy, tmp_path):
    """The folder of a short finished run."""
    status, folder = toy("run", epochs=1)
    assert status == 0
    return folder


def test_checkpoints_with_nan_and_wrong_pointers_to_them_are_named(finished):
    (path,) = (finished / "tuned").glob("model.pth.tar-*")
    whole = torch.load(path, weights_only=False)
    name = next(iter(whole["state_dict"]))
    model = as_module({n: torch.nn.Parameter(p) for n, p in whole["state_dict"].items()}, {})
    whole["state_dict"][name] = whole["state_dict"][name] * float("nan")
    torch.save(whole, path)
    with pytest.raises(CheckpointError, match=f"model.pth.tar-1: {name} holds NaN"):
        load_tuned(model, finished / "tuned")
    shutil.copy(path, finished / "elsewhere")
    for text in ("../elsewhere", "", "\0", "model.pth.tar-1\nmodel.pth.tar-2"):
        (finished / "tuned/checkpoint").write_text(text)
        with pytest.raises(CheckpointError, match="tuned/checkpoint: names no checkpoint"):
            load_tuned(torch.nn.Module(), finished / "tuned")
    (finished / "tuned/checkpoint").write_bytes(b"\xff")
    with pytest.raises(CheckpointError, match="tuned/checkpoint: cannot be read"):
        load_tuned(torch.nn.Module(), finished / "tuned")
