"""The study's results as data, tables, and a figure an axis."""

from pathlib import Path

from tabulate import tabulate

from ueo.files import write_json, write_text
from ueo.grids.choices import output_name
from ueo.grids.grid_settings import GridSettings
from ueo.results.gains import GAINS
from ueo.results.paper import names, style
from ueo.studies.bench.protocol import CLEAN, SHIFTED
from ueo.studies.bench.report import cell, gains_table
from ueo.studies.online.gains import found
from ueo.studies.online.runs import AXES, Runs

STEM = "online"
TITLES = {"batch": "images a batch, in random order", "order": "order, 64 images a batch"}
GROUPS = {SHIFTED: "in scenes", CLEAN: "clean"}
ROW, AROUND = 1.8, 0.7  # inches: of a row of panels, of the rest


def write(settings: GridSettings, runs: Runs) -> None:
    """Write online.json, online.md and the figures beside the records, and print the tables."""
    results = found(runs)
    folder = Path(settings.output, output_name(settings.datasets[0]))
    write_json(folder / f"{STEM}.json", results)
    text = markdown(results)
    write_text(folder / f"{STEM}.md", text)
    print(f"\n{text}\nResults: {folder / STEM}.{{json,md}}")
    for axis in _distinct(results["streams"], "axis"):
        with style.styled():
            path = style.save(draw(results["streams"], axis), folder / f"{STEM}-{axis}.png")[-1]
        print(f"         {path} and .pdf")


def markdown(results: dict[str, list[dict]]) -> str:
    """The usual stream on all models and on each, then a table an axis and metric: methods down,
    values across."""
    parts = ["Points, with paired 95 % bootstrap intervals over test images."]
    for part in ("table", "models"):
        for models, group in dict.fromkeys((tuple(r["models"]), r["group"]) for r in results[part]):
            rows = [r for r in results[part] if (tuple(r["models"]), r["group"]) == (models, group)]
            parts += [f"## Gain over zero-shot CLIP, {' and '.join(models)}{_words(group)}",
                      gains_table(rows)]
    for part, over in (("streams", "zero-shot CLIP"), ("changes", "itself in the usual stream")):
        for axis in _distinct(results[part], "axis"):
            of_axis = [r for r in results[part] if r["axis"] == axis]
            for group in _distinct(of_axis, "group"):
                rows = [r for r in of_axis if r["group"] == group]
                for metric in GAINS:
                    parts += [f"## {names.METRICS[metric]} over {over}: {TITLES[axis]}"
                              f"{_words(group)}", _across(rows, metric)]
    return "\n\n".join(parts if results["table"] else ["No method has all its runs yet."]) + "\n"


def _distinct(rows: list[dict], key: str) -> list:
    return list(dict.fromkeys(row[key] for row in rows))


def _words(group: str) -> str:
    return f", {GROUPS[group]}" if group in GROUPS else ""


def _across(rows: list[dict], metric: str) -> str:
    values = _distinct(rows, "value")
    cells = {(row["method"], row["value"]): cell(row[metric]) for row in rows}
    lines = [[method, *(cells.get((method, value), "-") for value in values)]
             for method in _distinct(rows, "method")]
    return tabulate(lines, ["method", *values], "github", disable_numparse=True)


def draw(rows: list[dict], axis: str):
    """The figure of one axis: a row of panels a group of domains, a panel a metric, a line a
    method, with its intervals."""
    values, rows = list(AXES[axis]), [row for row in rows if row["axis"] == axis]
    groups, methods = _distinct(rows, "group"), _distinct(rows, "method")
    figure, axes = style.sheet(style.PAGE, ROW * len(groups) + AROUND, len(groups), len(GAINS))
    for panels, group in zip(axes, groups):
        for panel, metric in zip(panels, GAINS):
            panel.axhline(0, color=style.INK, linewidth=0.6)
            for number, method in enumerate(methods):
                own = [r for r in rows if (r["group"], r["method"]) == (group, method)]
                aside = 0.07 * (number - (len(methods) - 1) / 2)  # so that intervals stay apart
                style.interval(
                    panel, [values.index(row["value"]) + aside for row in own],
                    *zip(*((row[metric]["gain"], *row[metric]["interval"]) for row in own)),
                    label=style.written(names.method(method), 20), **style.line(number))
            panel.set_xticks(range(len(values)), values)
            panel.set_ylabel(f"gain in {names.METRICS[metric]}, points")
            panel.set_title(GROUPS.get(group, ""))
    for panel in axes[-1]:
        panel.set_xlabel(TITLES[axis])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure
