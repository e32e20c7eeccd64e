"""Write the study's results as data, tables, and one figure per axis."""

from dataclasses import replace
from itertools import product, zip_longest
from pathlib import Path

from tabulate import tabulate

from ueo.files import write_json, write_text
from ueo.grids.choices import ALL, config_name, output_name, trainer_names
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.grids.run_grid import selection
from ueo.results.bootstrap import PAIR
from ueo.results.paper import names, style
from ueo.studies.bench.protocol import CLEAN, SHIFTED
from ueo.studies.bench.report import cell, gains_tables
from ueo.studies.online.gains import found
from ueo.studies.online.runs import AXES, Runs
from ueo.text import file_name

TITLES = {"batch": "images a batch, in random order",
          "order": "order (numbers: gamma), 64 images a batch"}
GROUPS = {SHIFTED: "in scenes", CLEAN: "clean"}
COLUMNS, ROW, AROUND = 3, 1.4, 0.6  # panels per row; inches of a row and of the rest


def write(settings: GridSettings, runs: Runs) -> None:
    """Write results, tables and figures beside the records, and print the tables."""
    results, name = found(runs), stem(settings, runs)
    folder = Path(settings.output, output_name(settings.datasets[0]))
    write_json(folder / f"{name}.json", results)
    text = markdown(results)
    write_text(folder / f"{name}.md", text)
    print(f"\n{text}\nResults: {folder / name}.{{json,md}}")
    for axis in _distinct(results["streams"], "axis"):
        with style.styled():
            path = style.save(draw(results["streams"], axis), folder / f"{name}-{axis}.png")[-1]
        print(f"         {path} and .pdf")


def stem(settings: GridSettings, runs: Runs) -> str:
    """Return the stem of the file names, with the selection: no call overwrites other files."""
    methods = [n for n in trainer_names(settings) if n != ZERO_SHOT] or [ZERO_SHOT]
    every = [run for of_stream in runs.values() for part in of_stream.values() for run in part]
    parts = ["online", *(methods if ALL not in settings.trainers else []),
             config_name(settings.backbone, replace(settings, protocol="")).lstrip("+"),
             *selection(settings, every)]
    return file_name("-".join(filter(None, parts)))


def markdown(results: dict[str, list[dict]]) -> str:
    """Return tables of the usual stream, for all models and for each; then a table per axis and
    metric, with a row per method and a column per value."""
    parts = ["Points, with paired 95 % bootstrap intervals over test images, or over the objects "
             "that several domains show."]
    for part in ("table", "models"):
        for models, group in dict.fromkeys((tuple(r["models"]), r["group"]) for r in results[part]):
            rows = [r for r in results[part] if (tuple(r["models"]), r["group"]) == (models, group)]
            parts += [f"## Gain over zero-shot CLIP, {' and '.join(models)}{_words(group)}",
                      *gains_tables(rows)]
    for part, over in (("streams", "zero-shot CLIP"), ("changes", "itself in the usual stream")):
        for axis in _distinct(results[part], "axis"):
            of_axis = [r for r in results[part] if r["axis"] == axis]
            for group in _distinct(of_axis, "group"):
                rows = [r for r in of_axis if r["group"] == group]
                for metric in PAIR:
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
    """Draw one axis: a panel per method, a line with intervals per metric and group of domains."""
    values, rows = list(AXES[axis]), [row for row in rows if row["axis"] == axis]
    methods, lines = _distinct(rows, "method"), list(product(PAIR, _distinct(rows, "group")))
    above, last = divmod(len(methods) - 1, COLUMNS)  # full rows; the last panel of the last row
    figure, axes = style.sheet(style.PAGE, ROW * (above + 1) + AROUND, above + 1, COLUMNS,
                               sharey=True)
    for panel, method in zip_longest(axes.flat, methods):
        if method is None:
            panel.set_axis_off()
            continue
        panel.axhline(0, color=style.INK, linewidth=0.6)
        for number, (metric, group) in enumerate(lines):
            own = [r for r in rows if (r["group"], r["method"]) == (group, method)]
            aside = 0.07 * (number - (len(lines) - 1) / 2)  # keeps intervals apart
            style.interval(
                panel, [values.index(row["value"]) + aside for row in own],
                *zip(*((row[metric]["gain"], *row[metric]["interval"]) for row in own)),
                label=f"{names.METRICS[metric]}{_words(group)}", **style.line(number))
        panel.set_xticks(range(len(values)), [value.removeprefix("gamma ") for value in values])
        panel.set_title(style.written(names.method(method), 20))
    axes[above // 2, 0].set_ylabel("gain over zero-shot CLIP, points")
    axes[above, last // 2].set_xlabel(TITLES[axis])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(lines))
    return figure
