"""Test claims of papers against our measurements, by paired gains and their intervals."""

from collections.abc import Callable

from tabulate import tabulate

from ueo.results.wording import ROUNDING, gain_of
from ueo.text import WRITERS

HELD, NOT_HELD, PARTLY, OPEN, UNTESTED = (
    "held", "not held", "held in part", "not decided", "untested"
)


def verdict(intervals: list[tuple[float, float]]) -> str:
    """Judge the claim that all these gains are above 0. Held: all intervals are above 0. In part:
    some are. Not held: none is, and one lies below 0. Not decided: all contain 0."""
    if not intervals:
        return UNTESTED
    above = sum(low > ROUNDING for low, _ in intervals)
    if above:
        return HELD if above == len(intervals) else PARTLY
    return NOT_HELD if any(high < -ROUNDING for _, high in intervals) else OPEN


def not_worse(intervals: list[tuple[float, float]]) -> str:
    """Judge the claim that no gain is below 0: not held if an interval lies below 0."""
    if not intervals:
        return UNTESTED
    return NOT_HELD if any(high < -ROUNDING for _, high in intervals) else HELD


RULES = {
    verdict: "held if every interval lies above 0",
    not_worse: "not held if an interval lies below 0",
}


def claim(title: str, comparisons: list[dict],
          rule: Callable[[list[tuple[float, float]]], str] = verdict) -> dict:
    """Return a claim with its figures. comparisons: {"of": "A over B", "metric", and "gain" and
    "interval" in percentage points, both absent if undefined}."""
    intervals = [tuple(c["interval"]) for c in comparisons if "interval" in c]
    return {"claim": title, "rule": RULES[rule], "comparisons": comparisons,
            "verdict": rule(intervals)}


def table(claims: list[dict], form: str = "github") -> str:
    """Return a table with one line per comparison; a claim's first line holds its verdict."""
    lines, write = [], WRITERS[form]
    for entry in claims:
        first = [write(f"{entry['claim']} ({entry['rule']})"), entry["verdict"]]
        for comparison in entry["comparisons"] or [{"of": "", "metric": ""}]:
            lines.append([*first, write(comparison["of"]), comparison["metric"].upper(),
                          gain_of(comparison, "")])
            first = ["", ""]
    header = ["claim", "here", "comparison", "metric", "gain, points [95 %]"]
    widths = [38, None, 34, None, None] if form == "simple" else None
    return tabulate(lines, header, tablefmt=form, disable_numparse=True, maxcolwidths=widths)
