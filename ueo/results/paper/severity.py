"""Gain against the severity of a shift, one line per method."""

import numpy as np

from ueo.results.bootstrap import PAIR
from ueo.results.paper import names, style
from ueo.results.render import explained, signs

MOST_LINES = 5  # in a panel; more methods take further pages
ROW, AROUND = 1.2, 0.85  # inches: of a panel, of the rest
Point = tuple[str, int]  # shift and severity


def draw(summary: dict) -> list:
    """Return figures, one per page, of a table's summary; none if no shift has two severities.

    There is a column of panels for each shift, PACC above AUROC, with the base's value below each
    severity. A gain over fewer styles than another method's is left out. All pages have the same
    ranges. Call it inside `style.styled`.
    """
    gains = {g["method"]: {(p["shift"], p["severity"]): p for p in g.get("by_severity", [])}
             for g in summary["overall"]}
    domains = _domains(gains)
    gains = {method: {key: p for key, p in points.items() if p["domains"] == domains[key]}
             for method, points in gains.items()}
    gains = {method: points for method, points in gains.items() if points}
    shifts = _shifts(gains)
    if not shifts:
        return []
    limits = {m: style.shared_range([v for points in gains.values() for (shift, _), p in
                                     points.items() if shift in shifts for v in p[m]["interval"]])
              for m in PAIR}
    methods = list(gains)
    pages = -(-len(methods) // MOST_LINES)
    return [
        _page(summary, {m: gains[m] for m in part}, shifts, domains, limits)
        for part in np.array_split(np.array(methods, object), pages)
    ]


def _domains(gains: dict[str, dict[Point, dict]]) -> dict[Point, list[str]]:
    """Return the domains that a severity's gains are the mean of: the most that a method has."""
    found: dict[Point, list[str]] = {}
    for points in gains.values():
        for key, point in points.items():
            found[key] = max(found.get(key, []), point["domains"], key=len)
    return found


def _shifts(gains: dict[str, dict[Point, dict]]) -> dict[str, list[int]]:
    """{shift: its severities}, of those with at least two."""
    points = sorted({point for found in gains.values() for point in found})
    found = {}
    for shift, severity in points:
        found.setdefault(shift, []).append(severity)
    return {shift: severities for shift, severities in found.items() if len(severities) > 1}


def _page(summary: dict, gains: dict[str, dict[Point, dict]], shifts: dict[str, list[int]],
          domains: dict[Point, list[str]], limits: dict):
    columns = min(len(shifts), 4)
    bands = -(-len(shifts) // columns)  # of columns of two panels
    width = style.COLUMN if len(shifts) == 1 else style.PAGE
    figure, axes = style.sheet(width, 2 * bands * ROW + AROUND, 2 * bands, columns)
    for number, (shift, severities) in enumerate(shifts.items()):
        band, column = divmod(number, columns)
        below = {severity: domains[shift, severity] for severity in severities}
        for row, metric in enumerate(PAIR):
            axis = axes[2 * band + row, column]
            _panel(axis, summary, gains, shift, below, metric)
            axis.set_ylim(limits[metric])
            if column == 0:
                axis.set_ylabel(f"gain in {names.METRICS[metric]}, points")
            else:
                axis.tick_params(labelleft=False)
        axes[2 * band, column].set_title(style.written(names.shift(shift)), loc="left")
    for number in range(len(shifts), bands * columns):
        for row in range(2):
            axes[2 * (number // columns) + row, number % columns].axis("off")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center",
                  ncols=3 if len(shifts) == 1 else MOST_LINES)
    base = style.written(names.method(summary["base"]))
    figure.suptitle(f"{style.written(names.dataset(summary['title']), 24)}: gain over {base}, 95 % "
                    f"intervals\nbelow each severity: what {base} has there, %"
                    f"{explained(summary, list(gains))}", x=0.01, ha="left", fontsize=7)
    return figure


def _panel(axis, summary: dict, gains: dict, shift: str, domains: dict[int, list[str]],
           metric: str) -> None:
    """domains: of each severity, in order."""
    severities = list(domains)
    axis.axhline(0, color=style.INK, linewidth=0.6)
    for number, (method, points) in enumerate(gains.items()):
        found = [points.get((shift, severity)) for severity in severities]
        values = [(p[metric]["gain"], *p[metric]["interval"]) if p else (np.nan,) * 3
                  for p in found]
        aside = 0.09 * (number - (len(gains) - 1) / 2)  # so that intervals do not hide each other
        style.interval(axis, np.array(severities) + aside, *zip(*values),
                       label=style.written(names.method(method) + signs(summary, method), 20),
                       **style.line(number))
    axis.set_xticks(severities, [
        f"{severity or 'clean'}\n{_base_value(summary, own, metric)}"
        for severity, own in domains.items()
    ])
    axis.set_xlim(severities[0] - 0.5, severities[-1] + 0.5)
    axis.set_xlabel("severity")


def _base_value(summary: dict, domains: list[str], metric: str) -> str:
    """Return the base's value: the mean over these domains and, as for gains, the label spaces with
    both metrics."""
    cells = [row["values"][domain] for row in summary["rows"] for domain in domains
             if row["method"] == summary["base"]]
    values = [cell[metric]["mean"] for cell in cells if cell and all(cell[m] for m in PAIR)]
    return f"{np.mean(values):.0f}"
