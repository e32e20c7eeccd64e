"""Verdicts on claims follow from intervals alone."""

import pytest

from ueo.studies.claims import claim, not_worse, table, verdict


@pytest.mark.parametrize(("intervals", "strict", "weak"), [
    ([], "untested", "untested"),
    ([(0.1, 1.0), (0.2, 0.5)], "held", "held"),
    ([(0.1, 1.0), (-0.2, 0.5)], "held in part", "held"),
    ([(0.1, 1.0), (-2.0, -0.5)], "held in part", "not held"),
    ([(-0.1, 1.0), (-0.2, 0.5)], "not decided", "held"),
    ([(-0.1, 1.0), (-0.9, -0.5)], "not held", "not held"),
    ([(1e-14, 2e-14), (-1e-14, -1e-15)], "not decided", "held"),
    ([(4.3e-7, 0.5), (-0.5, -4.3e-7)], "not decided", "held"),
])
def test_a_verdict_follows_from_the_intervals(intervals, strict, weak):
    assert verdict(intervals) == strict
    assert not_worse(intervals) == weak


def test_a_comparison_that_was_not_made_is_shown_and_does_not_count():
    made = {"of": "A over B", "metric": "pacc", "gain": 1.25, "interval": [0.5, 2.0]}
    entry = claim("A beats B and C", [made, {"of": "A over C", "metric": "pacc"}])
    assert entry["verdict"] == "held"
    first, second = table([entry]).splitlines()[2:]
    assert "+1.25 [+0.50, +2.00]" in first and "held if every interval lies above 0" in first
    assert "A over C" in second and "held" not in second
