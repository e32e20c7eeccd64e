"""Tables in Markdown and csv, and the overview of several data sets."""

import csv
import io

import pytest
from test_tables import entries  # noqa: F401

from ueo.results import render, report, tables, wording
from ueo.results.check_outputs import LATER


@pytest.fixture
def summary(entries):  # noqa: F811
    return tables.summarise(entries, "Zero")


def test_csv_contains_every_number(summary):
    rows = list(csv.DictReader(io.StringIO(render.csv_text(summary))))
    assert tuple(rows[0]) == render.COLUMNS
    values = {(r["method"], r["domain"], r["metric"]): r for r in rows}
    for row in summary["rows"]:
        for domain, cell in row["values"].items():
            for metric, value in cell.items():
                if metric in LATER:  # records of an earlier version lack these
                    assert value is None
                    continue
                found = values.pop((row["method"], domain, metric))
                assert float(found["mean"]) == value["mean"]
                assert found["std"] == ("" if value["std"] is None else str(value["std"]))
    assert not values


def test_markdown_has_one_table_per_metric_with_the_best_in_bold(summary):
    text = render.markdown(summary)
    for name in render.NAMES.values():
        assert f"### {name}" in text
    assert "**53.0±1.4**" in text and "New over Zero" in text
    (rows,) = [part.split("\n\n")[2] for part in text.split("### ") if part.startswith("H-score")]
    assert rows.splitlines()[2].replace(" ", "") == "|open|Zero|-|-|-|-|"


def test_the_overview_shows_several_data_sets(summary):
    text = render.overview([summary, {**summary, "title": "Second"}])
    (line,) = [x for x in text.splitlines() if " Zero " in x]
    assert line.count("55.0 / 70.0") == 3  # the tuning domain t is left out
    without = {**summary, "title": "Second", "rows": summary["rows"][1:]}
    (line,) = [x for x in render.overview([summary, without]).splitlines() if " Zero " in x]
    assert line.rstrip().endswith("- / -")  # no mean over one of two data sets


def test_equal_records_give_equal_files(summary, tmp_path):
    first = {p.name: p.read_bytes() for p in report.write(tmp_path / "1/toy", "table", summary)}
    second = {p.name: p.read_bytes() for p in report.write(tmp_path / "2/toy", "table", summary)}
    assert first == second and len(first) == 5


def test_published_counts_are_claimed_only_if_they_were_checked(summary, entries):  # noqa: F811
    assert summary["as_published"] is None and "published" not in wording.caption(summary)
    found = [(folder, {**r, "published_counts": True}) for folder, r in entries]
    assert tables.summarise(found, "Zero")["as_published"] is True


@pytest.mark.parametrize(("value", "digits", "expected"), [
    (0.0, 1, "+0.0"), (-0.0, 1, "+0.0"), (-1e-14, 2, "+0.00"), (65.4 - 65.3 - 0.1, 1, "+0.0"),
    (-4.3e-7, 2, "+0.00"), (-0.04, 1, "-0.0"), (0.04, 1, "+0.0"), (-1.25, 2, "-1.25"),
    (3, 2, "+3.00"),
])
def test_a_rounding_error_is_not_printed_as_a_loss(value, digits, expected):
    assert wording.signed(value, digits) == expected
