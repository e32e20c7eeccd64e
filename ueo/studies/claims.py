"""Claims of papers beside what was measured here, by paired gains and their intervals."""

from collections.abc import Callable

from tabulate import tabulate

from ueo.results.wording import ROUNDING, gain_of
from ueo.text import WRITERS

HELD, NOT_HELD, PARTLY, OPEN, UNTESTED = (
    "held", "not held", "held in part", "not decided", "untested"
)


def verdict(intervals: list[tuple[float, float]]) -> str:
    """Of a claim that each of these gains is above 0: held if all intervals are, held in part if
    some are, not held if none is and one lies below, not decided if all hold 0."""
    if not intervals:
        return UNTESTED
    above = sum(low > ROUNDING for low, _ in intervals)
    if above:
        return HELD if above == len(intervals) else PARTLY
    return NOT_HELD if any(high < -ROUNDING for _, high in intervals) else OPEN


def not_worse(intervals: list[tuple[float, float]]) -> str:
    """Of a claim that none of these gains is below 0: not held if an interval lies below."""
    if not intervals:
        return UNTESTED
    return NOT_HELD if any(high < -ROUNDING for _, high in intervals) else HELD


RULES = {
    verdict: "held if every interval lies above 0",
    not_worse: "not held if an interval lies below 0",
}


def claim(title: str, comparisons: list[dict],
          rule: Callable[[list[tuple[float, float]]], str] = verdict) -> dict:
    """A claim with its figures. comparisons: {"of": what over what, "metric", and "gain" and
    "interval" in points of percent, both missing where not defined}."""
    intervals = [tuple(c["interval"]) for c in comparisons if "interval" in c]
    return {"claim": title, "rule": RULES[rule], "comparisons": comparisons,
            "verdict": rule(intervals)}


def table(claims: list[dict], form: str = "github") -> str:
    """One line a comparison, the claim and its verdict on the first of each."""
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
