"""The bench's gains over zero-shot CLIP as one table in LaTeX, for the booktabs package."""

from pathlib import Path

from ueo import text
from ueo.results.paper import names
from ueo.results.wording import signed
from ueo.studies.bench.gains import METRICS

STYLE = {"held": r"\textbf{{{}}}", "not held": r"\emph{{{}}}"}  # by verdict


def table(gains: list[dict]) -> str:
    """One float, a block of lines each group of domains. gains: rows of one scope of models, as
    `gains.measured` gives them."""
    columns = "l" + "c" * len(METRICS)
    lines, before = [], None
    for row in gains:
        if row["group"] != before:
            before = row["group"]
            heading = rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{before} styles}}}} \\"
            lines += [r"\midrule", heading]
        cells = [text.latex(names.method(row["method"])), *(_cell(row[m]) for m in METRICS)]
        lines.append(" & ".join(cells) + r" \\")
    heads = " & ".join(["method", *(text.latex(name) for name in METRICS.values())])
    return "\n".join([
        r"\begin{table*}[t]", r"\centering\small", rf"\caption{{{_caption(gains)}}}",
        rf"\label{{tab:bench-{text.label(gains[0]['scope'])}}}", r"\smallskip",
        rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{heads} \\", *lines, r"\bottomrule",
        r"\end{tabular}", r"\end{table*}", "",
    ])


def short_name(model: str) -> str:
    """A model without the folder that its file is in."""
    return Path(model.rpartition(":")[2]).stem


def _caption(gains: list[dict]) -> str:
    models = text.latex(", ".join(map(short_name, gains[0]["models"])))
    return (
        f"Gain over zero-shot CLIP in points, mean over domains, label spaces, seeds and models "
        rf"({models}), with 95\,\% bootstrap intervals over test images. Bold: the interval is "
        "above zero; italic: below."
    )


def _cell(found: dict) -> str:
    low, high = (signed(bound) for bound in found["interval"])
    gain = STYLE.get(found["verdict"], "{}").format(signed(found["gain"]))
    return rf"{gain} {{\tiny [{low}, {high}]}}"
