"""A record that disagrees with the outputs beside it is refused."""

import numpy as np
import pytest
from test_bootstrap import run as outputs_of
from test_tables import record

from ueo import metrics
from ueo.errors import DataError
from ueo.files import write_json
from ueo.results.check_outputs import CONFIDENCES, LATER, check_outputs, measure
from ueo.results.record import MODEL_FACTS, read_outputs, write_run


@pytest.fixture
def run(tmp_path):
    """(folder, result, outputs) of a run with a correct record."""
    outputs, known = outputs_of(0)
    images = len(outputs["test_labels"])
    outputs = {**outputs, "test_paths": np.array([f"{i}.png" for i in range(images)])}
    values = metrics.evaluate(*(outputs[f"test_{name}"] for name in
                                ("labels", "predictions_after", "scores_after")), known)
    percent = {name: 100 * value for name, value in values.items()}
    result = record("New", "a", 1, 0.0, counts={"known_classes": known, "test": images})
    result["metrics"] = {"test": {"accuracy": percent.pop("gacc"), **percent}}
    write_run(tmp_path, result, outputs)
    return tmp_path, result, outputs


def test_a_correct_record_passes(run):
    folder, result, _ = run
    check_outputs(folder, result)


def test_metrics_added_later_may_be_missing_but_not_wrong(run):
    folder, result, outputs = run
    confidences = np.linspace(0.1, 1, len(outputs["test_labels"]))
    write_run(folder, result, {**outputs, CONFIDENCES: confidences})
    write_json(folder / MODEL_FACTS, {"rule": "given", "thresholds": {"given": 0.0}})
    check_outputs(folder, result)
    found = measure(folder, read_outputs(folder), result["counts"]["known_classes"])
    result["metrics"]["test"].update({name: found[name] for name in LATER})
    check_outputs(folder, result)
    for name in LATER:
        wrong = {**result["metrics"]["test"], name: found[name] + 0.01}
        with pytest.raises(DataError, match=f"gives {name}"):
            check_outputs(folder, {**result, "metrics": {"test": wrong}})


def missing(folder, result, outputs):
    (folder / "outputs.npz").unlink()


def truncated(folder, result, outputs):
    content = (folder / "outputs.npz").read_bytes()
    (folder / "outputs.npz").write_bytes(content[: len(content) // 2])


def shorter(folder, result, outputs):
    write_run(folder, result, {name: array[:-1] for name, array in outputs.items()})


def without_scores(folder, result, outputs):
    write_run(folder, result, {k: v for k, v in outputs.items() if k != "test_scores_after"})


def other_number(folder, result, outputs):
    result["metrics"]["test"]["pacc"] += 0.01


def invented_number(folder, result, outputs):
    outputs["test_labels"][:] = 0
    write_run(folder, result, outputs)


def not_finite(folder, result, outputs):
    outputs["test_scores_after"][0] = np.nan
    write_run(folder, result, outputs)


@pytest.mark.parametrize(("damage", "words"), [
    (missing, "is missing"), (truncated, "damaged"), (shorter, "test images"),
    (without_scores, "lacks test_scores_after"), (other_number, "gives pacc"),
    (invented_number, "result.json says"), (not_finite, "not finite"),
])
def test_a_disagreement_is_one_line_that_names_the_file(run, damage, words):
    folder, result, outputs = run
    damage(folder, result, outputs)
    with pytest.raises(DataError) as caught:
        check_outputs(folder, result)
    assert str(folder / "outputs.npz") in str(caught.value) and words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
