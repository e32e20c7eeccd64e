"""The study's results as data, a table and a figure an axis."""

from pathlib import Path

from tabulate import tabulate

from ueo.files import write_json, write_text
from ueo.grids.choices import output_name
from ueo.grids.grid_settings import GridSettings
from ueo.results.gains import GAINS
from ueo.results.paper import names, style
from ueo.results.wording import signed, signed_interval
from ueo.studies.online.runs import AXES, Runs, gains

STEM = "online"
TITLES = {"batch": "images a batch, in random order", "order": "order, 64 images a batch"}
ROW, AROUND = 1.6, 0.9  # inches: of a panel, of the rest


def write(settings: GridSettings, runs: Runs) -> None:
    """Write online.json, online.md and the figures beside the records, and print the tables."""
    found = gains(runs)
    folder = Path(settings.output, output_name(settings.datasets[0]))
    write_json(folder / f"{STEM}.json", found)
    text = markdown(found)
    write_text(folder / f"{STEM}.md", text)
    print(f"\n{text}\nResults: {folder / STEM}.{{json,md}}")
    for axis in dict.fromkeys(row["axis"] for row in found):
        with style.styled():
            path = style.save(draw(found, axis), folder / f"{STEM}-{axis}.png")[-1]
        print(f"         {path} and .pdf")


def markdown(found: list[dict]) -> str:
    """A table an axis and metric: methods down, values across."""
    parts = []
    for axis in dict.fromkeys(row["axis"] for row in found):
        for metric in GAINS:
            parts += [f"## Gain in {names.METRICS[metric]} over zero-shot CLIP: {TITLES[axis]}",
                      _table(found, axis, metric)]
    return "\n\n".join(parts or ["No method has all its runs yet."]) + "\n"


def _table(found: list[dict], axis: str, metric: str) -> str:
    cells = {(row["method"], row["value"]): row[metric] for row in found if row["axis"] == axis}
    lines = [
        [method, *(_cell(cells.get((method, value))) for value in AXES[axis])]
        for method in dict.fromkeys(method for method, _ in cells)
    ]
    return tabulate(lines, ["method", *AXES[axis]], "github", disable_numparse=True)


def _cell(gain: dict | None) -> str:
    return f"{signed(gain['gain'])} {signed_interval(gain['interval'])}" if gain else "-"


def draw(found: list[dict], axis: str):
    """The figure of one axis: a panel a metric, a line a method, with its intervals."""
    values, rows = list(AXES[axis]), [row for row in found if row["axis"] == axis]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure, axes = style.sheet(style.PAGE, ROW + AROUND, 1, len(GAINS))
    for panel, metric in zip(axes[0], GAINS):
        panel.axhline(0, color=style.INK, linewidth=0.6)
        for number, method in enumerate(methods):
            own = [row for row in rows if row["method"] == method]
            aside = 0.08 * (number - (len(methods) - 1) / 2)  # so that intervals stay apart
            style.interval(
                panel, [values.index(row["value"]) + aside for row in own],
                *zip(*((row[metric]["gain"], *row[metric]["interval"]) for row in own)),
                label=style.written(names.method(method), 20), **style.line(number))
        panel.set_xticks(range(len(values)), values)
        panel.set_xlabel(TITLES[axis])
        panel.set_ylabel(f"gain in {names.METRICS[metric]}, points")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
