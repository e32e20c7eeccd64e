"""The comparison of methods: their order, what each uses, and means over all label spaces."""

import pytest

from ueo.results.paper import comparison

SETTINGS = ("closed", "open")
GROUPS = {"ZeroshotCLIP": comparison.ZERO_SHOT, "CoOp": comparison.FEW_SHOT,
          "StatA": comparison.TRANSDUCTIVE, "UEO": comparison.TUNED}


@pytest.fixture
def rows():
    return compared()


def compared(without=()):
    """Four methods in two label spaces; StatA lacks one, UEO was scored with negative names.
    without: pairs (method, label space) without a row, or (method, "oracle") for an oracle."""
    values = {"ZeroshotCLIP": (50, 52), "CoOp": (60, 62), "StatA": (55, None), "UEO": (56, 60)}
    cells = [
        {"setting": setting, "method": method, "values": {"mean": {} if value is None else {
            metric: {"mean": value, "std": None, "seeds": 1} for metric in comparison.METRICS}}}
        for method, pair in values.items() for setting, value in zip(SETTINGS, pair)
        if (method, setting) not in without
    ]
    gain = {"method": "UEO", "pacc": {"gain": 7.0, "interval": (5.0, 9.0)},
            "auroc": {"gain": -1.5, "interval": (-3.0, 0.0)}}
    summary = {"methods": list(values), "rows": cells, "overall": [gain]}
    entries = [
        ("folder", {"trainer": method, "uses_labels": method == "CoOp", "wall_seconds": seconds,
                    "reads_labels": (method, "oracle") in without,
                    "config": {f"TRAINER.{method}.SCORE": "tanl" if method == "UEO" else "mcm"}})
        for method in values for seconds in (1.0, 3.0)
    ]
    return comparison.compare(summary, entries, GROUPS)


def test_groups_are_ordered_from_zero_shot_to_few_shot(rows):
    assert [row["method"] for row in rows] == ["ZeroshotCLIP", "StatA", "UEO", "CoOp"]


def test_each_method_says_what_it_uses(rows):
    assert {row["method"]: row["uses"] for row in rows} == {
        "ZeroshotCLIP": [], "StatA": ["A"], "UEO": ["N"], "CoOp": ["L"]}


def test_a_mean_over_label_spaces_needs_a_value_in_each(rows):
    assert [row["pacc"] for row in rows] == [51, None, 58, 61]
    assert all(row["seconds"] == 2 for row in rows)


def test_a_mean_over_label_spaces_needs_a_row_for_each():
    (row,) = [row for row in compared([("UEO", "open")]) if row["method"] == "UEO"]
    assert row["pacc"] is None and row["auroc"] is None


def test_seconds_are_of_runs_that_were_not_resumed():
    """A resumed run records the seconds of its last process alone."""
    cells = [{"setting": "open", "method": "UEO", "values": {"mean": {}}}]
    summary = {"methods": ["UEO"], "rows": cells, "overall": []}
    entries = [("f", {"trainer": "UEO", "config": {}, "wall_seconds": seconds,
                      "resumed_from_epoch": epoch, "resumed_from_batch": batch})
               for seconds, epoch, batch in ((60.0, 0, 0), (2.0, 9, 0), (2.0, 0, 7))]
    (row,) = comparison.compare(summary, entries, GROUPS)
    assert row["seconds"] == 60
    (row,) = comparison.compare(summary, entries[1:], GROUPS)
    assert row["seconds"] is None


def test_the_text_names_an_oracle_another_score_and_missing_runs():
    text = comparison.markdown(compared([("UEO", "oracle")]), "ZeroshotCLIP", ["UEO lacks open b"])
    (line,) = [line for line in text.splitlines() if "| UEO" in line]
    assert "N O" in line and "O: the labels of the unlabelled images, as an oracle" in text
    assert "OOD score: MCM, but TANL for UEO" in text
    assert "Runs are missing: UEO lacks open b." in text


def test_the_text_explains_its_marks_and_shows_gains_with_intervals(rows):
    text = comparison.markdown(rows, "ZeroshotCLIP")
    assert "+7.00 [+5.00, +9.00]" in text and "-1.50 [-3.00, +0.00]" in text
    assert "N: negative names" in text and "A: all images of an evaluation at once" in text
    (line,) = [line for line in text.splitlines() if "StatA" in line]
    assert line.count(" - ") == len(comparison.METRICS)
