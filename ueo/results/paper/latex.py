"""A table in LaTeX for the booktabs package: PACC / AUROC pairs, gains, and intervals.

It is made from a table's summary alone. Packages: \\usepackage{booktabs}.
"""

from textwrap import wrap

from ueo import text
from ueo.results.bootstrap import PAIR
from ueo.results.paper import names
from ueo.results.render import signs
from ueo.results.tables import MEAN
from ueo.results.wording import mean_of, notes, signed

WIDEST = 6  # columns of numbers that fit on a page; more are set below
LONGEST = 30  # characters of a name
SLASH = r"\,/\,"
BOLD = ("{}", r"\textbf{{{}}}", r"\underline{{{}}}")  # by a cell's mark
PROTOCOLS = {
    "online": "one pass over the unlabelled images, each predicted when it arrives",
    "released": "adapted to and tested on the same images where the data set has one list of them",
    "independent": "tested on images that no method was adapted to",
}


def table(summary: dict, name: str) -> str:
    """Return one float. name: of its label, tab:<name>; must differ between files of tables."""
    columns = [*summary["domains"], MEAN]
    parts = -(-len(columns) // WIDEST)
    size = -(-len(columns) // parts)  # as even as they can be
    blocks = [columns[start : start + size] for start in range(0, len(columns), size)]
    tabulars = [_tabular(summary, block) for block in blocks]
    gains = "".join(f"\n\n\\smallskip\n{_overall(summary, gain)}" for gain in summary["overall"])
    look = "\\scriptsize\n\\setlength{\\tabcolsep}{3pt}"
    return in_float("\n\n\\medskip\n".join(tabulars) + gains, caption(summary), name, look)


def in_float(body: str, words: str, name: str, look: str) -> str:
    """A float over both columns. words: its caption; name: of its label; look: of its text."""
    return "\n".join([
        r"\begin{table*}[t]", rf"\centering{look}", rf"\caption{{{words}}}",
        rf"\label{{tab:{text.label(name)}}}", r"\smallskip", body, r"\end{table*}", "",
    ])


def tabular(heads: list[str], lines: list[str]) -> str:
    """A first column of words, then columns of numbers."""
    return "\n".join([
        rf"\begin{{tabular}}{{l{'c' * (len(heads) - 1)}}}", r"\toprule", row(heads), *lines,
        r"\bottomrule", r"\end{tabular}",
    ])


def row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def caption(summary: dict) -> str:
    """What was measured on what, over how many seeds, and what the marks mean."""
    base = _written(names.method(summary["base"]))
    seeds = max((v["pacc"]["seeds"] for row in summary["rows"] for v in row["values"].values()
                 if v and v["pacc"]), default=1)
    spread = "one seed" if seeds == 1 else (
        rf"mean and standard deviation over {seeds} seeds, numbers without $\pm$ of one")
    protocol = summary["protocol"]
    parts = [
        f"{_written(names.dataset(summary['title']))}, {_written(summary['backbone'])}: PACC / "
        rf"AUROC in \%, {spread}; gains over {base} in points.",
        f"Protocol {_written(protocol)}: {PROTOCOLS[protocol]}." if protocol in PROTOCOLS else "",
        f"Bold: best of a label space{'; underlined: second' * (len(summary['methods']) > 2)}.",
        *notes({**summary, "base": names.method(summary["base"])}, text.latex),
    ]
    return daggers(" ".join(filter(None, parts)))


def _tabular(summary: dict, columns: list[str]) -> str:
    lines, before = [], None
    for line in summary["rows"]:
        if line["setting"] != before:
            before = line["setting"]
            heading = rf"\emph{{label space {_written(names.setting(before))}}}"
            lines += [r"\midrule", rf"\multicolumn{{{1 + len(columns)}}}{{l}}{{{heading}}} \\"]
        method = _written(names.method(line["method"])) + daggers(signs(summary, line["method"]))
        lines.append(row([method, *(_cell(line["values"][d], line["marks"][d]) for d in columns)]))
        if "gain" in line:
            gains = [SLASH.join(_gain(line["gain"][d][m]) for m in PAIR) for d in columns]
            lines.append(row([r"\quad gain", *gains]))
    heads = [_head(d) + "*" * (d == summary["tuning_domain"]) for d in columns]
    return tabular(["method", *heads], lines)


def _head(domain: str) -> str:
    """A domain's name; a long one, and its shift, on lines of their own."""
    lines = [line for part in names.domain(domain).split(", ")
             for line in wrap(names.shortened(part, LONGEST), 15, break_on_hyphens=False)]
    # relax: else LaTeX takes a line's first character for a part of the line break before it
    safe = [r"\relax " * line.startswith(("[", "*")) + text.latex(line) for line in lines]
    words = r"\\".join(safe)
    return rf"\shortstack{{{words}}}" if len(lines) > 1 else words


def _cell(values: dict, marks: dict) -> str:
    if not values:
        return "-"
    return SLASH.join(
        "-" if values[m] is None else BOLD[marks.get(m, 0)].format(f"{values[m]['mean']:.1f}")
        + ("" if values[m]["std"] is None else rf"{{\tiny$\pm${values[m]['std']:.1f}}}")
        for m in PAIR
    )


def _gain(value: float | None) -> str:
    return "-" if value is None else f"${signed(value, 1)}$"


def _overall(summary: dict, gain: dict) -> str:
    """The mean gain over everything, with its interval and its seeds."""
    found = []
    for m in PAIR:
        low, high, *seeds = (f"${signed(v)}$" for v in (*gain[m]["interval"], *gain[m]["seeds"]))
        found.append(f"{names.METRICS[m]} ${signed(gain[m]['gain'])}$ [{low}, {high}] "
                     f"(seeds {', '.join(seeds)})")
    ours, theirs = (_written(names.method(gain[key])) for key in ("method", "base"))
    return (f"{ours} over {theirs}, {mean_of(summary, gain)}, "
            rf"paired 95\,\% bootstrap interval over test images: {'; '.join(found)}")


def _written(words: str) -> str:
    return text.latex(names.shortened(words, LONGEST))


def daggers(words: str) -> str:
    return words.replace("†", r"$^\dagger$").replace("‡", r"$^\ddagger$")
