"""Results per domain: each method's gains in PACC and AUROC over another, with their intervals."""

from ueo.results.bootstrap import PAIR
from ueo.results.paper import names, style
from ueo.results.render import explained, signs

ROW, HEAD, AROUND = 0.135, 0.19, 0.85  # inches: of a line, of a domain's heading, of the rest
MEAN = "mean over domains"


def draw(summary: dict) -> list:
    """Return figures, one per page, of the gains in a table's summary; none if there are none.

    There is a line for each domain and the mean, or, with several methods, a block of lines. All
    pages have the same range. Call it inside `style.styled`.
    """
    blocks = _blocks(summary)
    if not blocks:
        return []
    methods = [gain["method"] for gain in summary["overall"]]
    limits = {m: style.shared_range([v for _, own in blocks for found in own.values()
                                     for v in found[m]["interval"]]) for m in PAIR}
    return [_page(summary, page, methods, limits) for page in _pages(blocks, len(methods))]


def _blocks(summary: dict) -> list[tuple[str, dict[str, dict]]]:
    """(domain, {method: its gains there}), the mean last."""
    found = [
        (domain, own) for domain in summary["domains"]
        if (own := {g["method"]: g["by_domain"][domain] for g in summary["overall"]
                    if domain in g["by_domain"]})
    ]
    if len(found) > 1:
        found.append((MEAN, {gain["method"]: gain for gain in summary["overall"]}))
    return found


def _pages(blocks: list, methods: int) -> list[list]:
    """Split the blocks into pages, with at least one block each."""
    height = ROW if methods == 1 else HEAD + ROW * methods
    most = max(int((style.TALLEST - AROUND) / height), 1)
    return [blocks[start : start + most] for start in range(0, len(blocks), most)]


def _page(summary: dict, blocks: list, methods: list[str], limits: dict):
    labels, lines, y = [], [], 0.0  # y in inches, downwards
    for domain, own in blocks:
        if len(methods) > 1:
            labels.append((y + HEAD / 2, _domain(domain), True))
            y += HEAD
        for number, method in enumerate(methods):
            word = _method(summary, method) if len(methods) > 1 else _domain(domain)
            labels.append((y + ROW / 2, word, len(methods) == 1 and domain == MEAN))
            lines.append((y + ROW / 2, number, own.get(method)))
            y += ROW
    figure, axes = style.sheet(style.COLUMN, y + AROUND, 1, 2, sharey=True)
    figure.get_layout_engine().set(wspace=0.06)
    for axis, metric in zip(axes[0], PAIR):
        axis.axvline(0, color=style.INK, linewidth=0.6)
        for place, number, found in lines:
            if found is None:
                axis.text(0.5, place, "no runs", transform=axis.get_yaxis_transform(), ha="center",
                          va="center", fontsize=6, backgroundcolor="white", in_layout=False)
                continue
            gain = found[metric]
            style.interval(axis, gain["gain"], place, *gain["interval"], horizontal=True,
                           **{**style.line(number), "linestyle": "none"})
        axis.set(xlim=limits[metric], ylim=(y, 0), xlabel="gain, points",
                 title=names.METRICS[metric])
        style.few_ticks(axis, 3)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x", color=style.PALE, linewidth=0.3)
    axes[0, 0].set_yticks([place for place, *_ in labels],
                          [style.written(word, 30) for _, word, _ in labels])
    for tick, (*_, heading) in zip(axes[0, 0].get_yticklabels(), labels):
        tick.set_fontweight("bold" if heading else "normal")
    figure.suptitle(_title(summary, methods), x=0.01, ha="left", fontsize=7)
    return figure


def _title(summary: dict, methods: list[str]) -> str:
    which = _method(summary, methods[0]) if len(methods) == 1 else "gains"
    return (f"{style.written(names.dataset(summary['title']), 40)}\n"
            f"{style.written(which)} over {style.written(names.method(summary['base']))}, "
            f"95 % intervals{explained(summary, methods)}")


def _method(summary: dict, method: str) -> str:
    return names.method(method) + signs(summary, method)


def _domain(name: str) -> str:
    return name if name == MEAN else names.domain(name)
