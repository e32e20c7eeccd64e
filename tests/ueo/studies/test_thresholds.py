"""The study of thresholds: rules without labels against the best threshold by labels."""

import numpy as np
import pytest

from ueo.files import read_json, write_json
from ueo.open_set import RULE, THRESHOLDS, at_threshold, thresholds
from ueo.studies.thresholds import BEST, measure, measured_runs, tables


def outputs(seed: int = 0, apart: float = 4.0, n: int = 200) -> dict[str, np.ndarray]:
    """Outputs with two known classes, all predicted correctly, and one unknown class, whose scores
    are lower by `apart`."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], n)
    scores = rng.normal(apart * (labels < 2), 1.0)
    return {
        "test_labels": labels, "test_predictions_after": labels % 2, "test_scores_after": scores,
        "unlabelled_scores_after": scores, "unlabelled_scores_before": scores[::-1],
        "test_paths": np.array([f"{i}.png" for i in range(len(labels))]),
    }


def test_rules_use_the_unlabelled_scores_and_are_measured_on_the_test_images():
    found = outputs()
    found["unlabelled_scores_after"] = found["test_scores_after"] + 1
    measured = measure(found, 2)
    rules = thresholds(found["unlabelled_scores_after"], found["unlabelled_scores_before"])
    for rule in THRESHOLDS:
        expected = at_threshold(found["test_labels"], found["test_predictions_after"],
                                found["test_scores_after"], 2, rules[rule])
        assert measured[rule] == {name: expected[name] for name in ("hos", "os_star", "unk")}
        assert measured[rule]["hos"] <= measured[BEST]["hos"]


def test_the_best_threshold_has_the_largest_h_score():
    found = outputs(apart=1.5)
    best = max(at_threshold(found["test_labels"], found["test_predictions_after"],
                            found["test_scores_after"], 2, t)["hos"]
               for t in found["test_scores_after"])
    assert measure(found, 2)[BEST]["hos"] == best


def test_rules_still_reject_images_if_scores_form_one_group():
    measured = measure(outputs(apart=0.0), 2)
    assert measured["separation"]["separation"] == 0
    assert all(measured[rule]["hos"] > 0.3 for rule in THRESHOLDS)


@pytest.fixture
def runs(tmp_path):
    """Folders of three finished runs, one of them on the tuning domain, and of one unfinished."""
    places = [("a", 1), ("a", 2), ("tuned on", 1), ("b", 1)]
    for i, (domain, seed) in enumerate(places):
        folder = tmp_path / str(i)
        folder.mkdir()
        np.savez(folder / "outputs.npz", **outputs(i))
        if domain != "b":
            record = dict.fromkeys(("dataset", "protocol", "backbone", "split_hash"), "x")
            write_json(folder / "result.json", {
                **record, "trainer": "UEO", "domain": domain, "setting": "open", "seed": seed,
                "counts": {"known_classes": 2}, "tuning_domain": "tuned on", "inputs": {},
                "config": {}, "environment": {"engine": "x"}, "metrics": {}, "evaluations": [],
            })
    return [tmp_path / str(i) for i in range(len(places))]


def test_tables_average_over_seeds_and_show_the_tuning_domain_apart(runs):
    text = tables(runs)
    first, second = text.split("\n\na: ")
    assert first.startswith("tuned on: H-score") and second.count("| open ") == 1
    found = [measure(outputs(i), 2)["mixture"]["hos"] for i in (0, 1)]
    assert f"| {50 * sum(found):.1f} (" in second
    assert len(list(measured_runs(runs))) == 3


def test_missing_runs_of_the_study_are_named(runs):
    """A mean over fewer domains cannot be compared with the others."""
    assert "Runs are missing" not in tables(runs)
    for folder, seed in zip(runs[:2], (1, 2)):
        record = read_json(folder / "result.json", dict, "")
        write_json(folder / "result.json", {**record, "domain": "ab"[seed - 1], "seed": 1})
    record["trainer"] = "EntMin"
    write_json(runs[3] / "result.json", {**record, "domain": "b", "seed": 1})
    assert "Runs are missing: EntMin lacks open a." in tables(runs)


def test_runs_without_unknown_images_are_reported(runs):
    for folder in runs:
        known = {**outputs(), "test_labels": np.zeros(600, int)}
        np.savez(folder / "outputs.npz", **known)
    assert "No threshold is measured" in tables(runs)


def test_the_default_is_one_of_the_rules():
    assert RULE in THRESHOLDS
