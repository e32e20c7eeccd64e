"""Checks that a picture is legible: no text is hidden by another, cut off or missing.
"""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def texts(figure) -> list[Text]:
    """The visible texts of a figure; of tick labels, only those within the axis limits."""
    FigureCanvasAgg(figure).draw()
    hidden = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                if not (low <= tick.get_loc() <= high and axes.axison):
                    hidden |= {tick.label1, tick.label2}
        if not axes.axison:
            hidden |= {axes.xaxis.label, axes.yaxis.label}
    return [t for t in figure.findobj(Text)
            if t.get_text().strip() and t.get_visible() and t not in hidden]


def words(figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def check_legible(figure) -> None:
    """No text overlaps another or leaves the figure, and none is smaller than 5 points."""
    shown = texts(figure)
    renderer = figure.canvas.get_renderer()
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in shown]
    width, height = figure.canvas.get_width_height()
    for word, box in boxes:
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, word
    for (first, a), (second, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, (first, second)
    assert min(t.get_fontsize() for t in shown) >= 5
