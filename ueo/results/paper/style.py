"""The style of all pictures: sizes, colours, lines; and how they are saved.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart; lightness, markers and
line styles differ too, for copies in grey. matplotlib is imported only when a picture is drawn: it
takes a second, and most commands draw none.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ueo.files import atomic_path
from ueo.results.paper.names import shortened
from ueo.text import in_plot

COLUMN, PAGE, TALLEST = 3.3, 6.9, 8.8  # inches: width of a paper's column and page; height
DPI = 200
INK, PALE = "black", "#bbbbbb"
KNOWN, UNKNOWN, UNLABELLED, CHOSEN = "#56B4E9", "#D55E00", "#999999", INK
LINES = (  # one method or score each: colour, marker, line style
    ("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#009E73", "^", "-."), ("#D55E00", "D", ":"),
    ("#CC79A7", "v", "-"), ("#56B4E9", "P", "--"), ("#000000", "X", "-."),
    ("#999999", "*", ":"),
)
STYLE = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 7,
    "axes.titlesize": 7, "axes.labelsize": 7, "xtick.labelsize": 6, "ytick.labelsize": 6,
    "legend.fontsize": 6.5, "legend.frameon": False, "figure.titlesize": 8,
    "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5,
    "ytick.major.size": 2.5, "lines.linewidth": 1.1, "lines.markersize": 3.2,
    "hatch.linewidth": 0.5, "pdf.fonttype": 42, "text.usetex": False, "svg.fonttype": "none",
}  # fmt: skip


@contextmanager
def styled():
    """Draw in this style within the block, then restore matplotlib's settings."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def sheet(width: float, height: float, rows: int = 1, columns: int = 1, **options):
    """Return (figure of this size in inches, its axes: array (rows, columns)). Call it, and draw,
    inside `styled`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure, path: Path) -> list[Path]:
    """Write the figure as .pdf, fonts embedded as TrueType, then as .png; returns both paths.

    path: of the .png. Equal figures give equal files.
    """
    paths = [path.with_name(f"{path.name.removesuffix('.png')}{end}") for end in (".pdf", ".png")]
    for file, metadata in zip(paths, ({"CreationDate": None}, {})):
        with styled(), atomic_path(file) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)
    return paths


def save_pages(pages: Sequence, folder: Path, stem: str) -> list[Path]:
    """`save` each figure: the first as stem.png, further ones as stem-2.png, ...; returns the paths
    of the .png."""
    return [save(page, folder / f"{stem}{f'-{number}' * (number > 1)}.png")[-1]
            for number, page in enumerate(pages, 1)]


def line(number: int) -> dict:
    """Colour, marker and line style of the number-th method or score of a picture."""
    colour, marker, style = LINES[number % len(LINES)]
    return {"color": colour, "marker": marker, "linestyle": style}


def interval(axis, x, y, low, high, horizontal: bool = False, **look) -> None:
    """Points, (points,) or one, with intervals of y, or with `horizontal` of x; a NaN is a gap."""
    x, y, low, high = (np.atleast_1d(np.asarray(part, float)) for part in (x, y, low, high))
    values = x if horizontal else y
    reach = np.maximum([values - low, high - values], 0)
    axis.errorbar(x, y, **{"xerr" if horizontal else "yerr": reach}, elinewidth=0.8, capsize=1.5,
                  **look)


def shared_range(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """Limits of an axis that holds all finite values and 0, with a margin."""
    finite = [0.0, *(v for v in values if np.isfinite(v))]
    low, high = min(finite), max(finite)
    room = margin * (high - low) or 1.0
    return low - room, high + room


def few_ticks(axis, most: int = 4) -> None:
    """Draw at most this many intervals between ticks along x, so that labels do not overlap."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(most, min_n_ticks=2))


def written(words, most: int = 28) -> str:
    """Plain text for a picture, cut in the middle if it is too long."""
    return in_plot(shortened(str(words), most))
