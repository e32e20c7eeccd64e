"""Draw the pictures of README.md and docs/architecture.md: task.png and rooms.png.

    python docs/draw.py [folder]          beside this file unless a folder is given

The same files come out every time. The images in task.png are from assets/emoji.zip.
"""

import ast
import sys
import zipfile
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
DPI = 300
INK, KNOWN, UNKNOWN, PALE, PAPER = "#222222", "#2a6f97", "#d1495b", "#f3f5f7", "#ffffff"

NAMES = ("bird", "car", "clock", "fish", "fruit")
UNLABELLED = (  # of the style fluent
    "bird/owl", "fruit/pear", "clock/alarm_clock", "shoe/hiking_boot", "car/taxi",
    "car/minibus", "tool/hammer", "bird/penguin", "fruit/strawberry", "clock/watch",
    "clock/stopwatch", "bird/duck", "shoe/running_shoe", "car/tractor", "fruit/banana",
)
WANTED = ("bird/parrot", "fish/tropical_fish", "shoe/woman_s_boot", "train/locomotive")
NONE = "none of these"

ROOMS = ("transduction", "settings", "shifts", "images", "fetch", "clip", "pairs", "results",
         "runs", "inference", "grids", "machine", "studies", "commands")  # upwards from ueo/*.py
# what trainers/ and datasets/ may not import
ABOVE_PLUGINS = ("inference", "grids", "machine", "studies", "commands")


def task() -> Figure:
    """Class names and unlabelled images, an adapted CLIP, and the two answers that are wanted."""
    figure, axes = _sheet(7.2, 2.95)
    _box(axes, 0.06, 2.14, 2.95, 0.75)
    _write(axes, 0.16, 2.76, "Class names $L_p$", weight="bold")
    _write(axes, 0.16, 2.4, ",  ".join(NAMES), colour=KNOWN, size=10.5)
    _box(axes, 0.06, 0.06, 2.95, 2.0)
    _write(axes, 0.16, 1.93, "Unlabelled images, of classes $L_u$", weight="bold")
    with zipfile.ZipFile(REPOSITORY / "assets" / "emoji.zip") as archive:
        for i, image in enumerate(UNLABELLED):
            row, column = divmod(i, 5)
            _image(axes, archive, image, 0.24 + 0.54 * column, 1.36 - 0.47 * row, 0.42)
        _write(axes, 0.16, 0.22, "no fish; dashed: not in $L_p$, and the method is not told so",
               size=6.6)
        _arrow(axes, (3.06, 1.48), (3.42, 1.48))
        _box(axes, 3.47, 1.0, 1.16, 0.96, face="#e4eef5")
        _write(axes, 4.05, 1.64, "CLIP,", weight="bold", align="center")
        _write(axes, 4.05, 1.43, "adapted", weight="bold", align="center")
        _write(axes, 4.05, 1.22, "without labels", size=7, align="center")
        _arrow(axes, (4.68, 1.48), (5.04, 1.48))
        _box(axes, 5.09, 0.06, 2.05, 2.83)
        _write(axes, 5.19, 2.76, "Wanted, for any image", weight="bold")
        for i, image in enumerate(WANTED):
            height = (2.03, 1.51, 0.69, 0.17)[i]
            _image(axes, archive, image, 5.27, height, 0.42)
            _arrow(axes, (5.76, height + 0.21), (5.98, height + 0.21), scale=7)
            known = _known(image)
            _write(axes, 6.06, height + 0.21, image.split("/")[0] if known else NONE,
                   colour=KNOWN if known else UNKNOWN, size=9)
    _write(axes, 5.19, 2.55, "(1) its class, if that is in $L_p$", size=7)
    _write(axes, 5.19, 1.24, "(2) that it is of no class in $L_p$", size=7)
    return figure


def rooms() -> Figure:
    """The packages of ueo/ as floors of a house, with what trainers/ and datasets/ stand on."""
    floor, left, width = 0.36, 0.42, 5.5
    figure, axes = _sheet(7.2, floor * (len(ROOMS) + 2) + 0.12)
    ground = "losses, scores, metrics, label spaces; errors, names, text, files"
    for i, (room, purpose) in enumerate([("ground", ground), *((r, _purpose(r)) for r in ROOMS)]):
        bottom = 0.06 + floor * i
        _box(axes, left, bottom, width, floor - 0.05, face="#e4eef5" if i else "#e9e4da")
        _write(axes, left + 0.1, bottom + 0.155, room, weight="bold", size=8)
        _write(axes, left + 0.95, bottom + 0.155, purpose, size=5.9)
    top = 0.06 + floor * (len(ROOMS) + 1)
    _box(axes, left, top, width, floor - 0.05, face=PAPER)
    _write(axes, left + 0.1, top + 0.155, "scripts/*.sh, train.py", weight="bold", size=8)
    _write(axes, left + 1.75, top + 0.155, "shell scripts that call the commands; one run",
           size=5.9)
    _arrow(axes, (0.24, top), (0.24, 0.1))
    _write(axes, 0.1, top / 2, "imports go down only", size=7, align="center", rotation=90)
    height = floor * (len(ROOMS) + 1 - len(ABOVE_PLUGINS)) - 0.05
    _box(axes, 6.0, 0.06, 1.12, height, face="#f6e3e5")
    for line, text in enumerate(("trainers/", "datasets/")):
        _write(axes, 6.56, height / 2 + 0.45 - 0.2 * line, text, weight="bold", size=8,
               align="center")
    for line, text in enumerate(("one file a method", "or data set; found by", "itself; may import",
                                 "every room beside it")):
        _write(axes, 6.56, height / 2 - 0.05 - 0.15 * line, text, size=6, align="center")
    return figure


def _purpose(room: str) -> str:
    """First line of the room's docstring."""
    source = (REPOSITORY / "ueo" / room / "__init__.py").read_text()
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


def _known(image: str) -> bool:
    return image.split("/")[0] in NAMES


def _sheet(width: float, height: float):
    """(figure, axes whose unit is the inch)."""
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _box(axes, left: float, bottom: float, width: float, height: float, face: str = PALE) -> None:
    axes.add_patch(FancyBboxPatch(
        (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=0.06", facecolor=face,
        edgecolor="#9aa5b1", linewidth=0.7,
    ))


def _write(axes, x: float, y: float, text: str, colour: str = INK, size: float = 8,
           weight: str = "normal", align: str = "left", rotation: float = 0) -> None:
    axes.text(x, y, text, color=colour, fontsize=size, fontweight=weight, ha=align, va="center",
              rotation=rotation, fontfamily="DejaVu Sans")


def _arrow(axes, start: tuple[float, float], end: tuple[float, float], scale: float = 12) -> None:
    axes.annotate("", end, start, arrowprops={
        "arrowstyle": "-|>", "color": INK, "linewidth": 1, "mutation_scale": scale,
        "shrinkA": 0, "shrinkB": 0,
    })


def _image(axes, archive: zipfile.ZipFile, name: str, left: float, bottom: float, side: float):
    with archive.open(f"emoji/images/fluent/{name}.webp") as file:
        pixels = Image.open(file).convert("RGB").resize((256, 256), Image.Resampling.LANCZOS)
    extent = (left, left + side, bottom, bottom + side)
    axes.imshow(pixels, extent=extent, aspect="auto", zorder=3)
    margin = 0.02
    known = _known(name)
    axes.add_patch(FancyBboxPatch(
        (left - margin, bottom - margin), side + 2 * margin, side + 2 * margin, zorder=2,
        boxstyle="round,pad=0,rounding_size=0.03", facecolor=PAPER,
        edgecolor="#c3cad2" if known else UNKNOWN, linestyle="-" if known else (0, (3, 1.5)),
        linewidth=0.7 if known else 1.2,
    ))


def main(folder: Path = DOCS) -> list[Path]:
    """Write both pictures; returns their paths."""
    paths = []
    for draw in (task, rooms):
        path = folder / f"{draw.__name__}.png"
        figure = draw()
        for axes in figure.axes:  # imshow sets limits of its own
            width, height = figure.get_size_inches()
            axes.set(xlim=(0, width), ylim=(0, height))
        figure.savefig(path, dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
        paths.append(path)
    return paths


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
