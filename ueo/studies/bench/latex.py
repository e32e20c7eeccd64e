"""LaTeX table of the bench's gains over zero-shot CLIP, for the booktabs package."""

from pathlib import Path

from ueo import text
from ueo.grids.grid_settings import ZERO_SHOT
from ueo.results.paper import names
from ueo.results.paper.latex import daggers, in_float, row, tabular
from ueo.results.wording import of_scores, signed
from ueo.studies.bench.gains import METRICS

STYLE = {"held": r"\textbf{{{}}}", "not held": r"\emph{{{}}}"}  # by verdict
MARKS = {
    "†": "† trained with labelled images, which left its test set",
    "‡": "‡ an oracle, which reads the labels of the unlabelled images",
}


def table(gains: list[dict]) -> str:
    """Return a float with a block of lines per group of domains. gains: rows of one scope of
    models, from `gains.measured`."""
    heads = ["method", *map(text.latex, METRICS.values())]
    lines, before = [], None
    for found in gains:
        if found["group"] != before:
            before = found["group"]
            heading = rf"\multicolumn{{{len(heads)}}}{{l}}{{\emph{{{before} styles}}}}"
            lines += [r"\midrule", row([heading])]
        method = text.latex(names.method(found["method"])) + daggers(found["signs"][0])
        lines.append(row([method, *(_cell(found[m]) for m in METRICS)]))
    name = f"bench-{gains[0]['scope']}"
    return in_float(tabular(heads, lines), _caption(gains), name, r"\small")


def short_name(model: str) -> str:
    """Return the name of a model without the folder of its file."""
    return Path(model.rpartition(":")[2]).stem


def _caption(gains: list[dict]) -> str:
    models = text.latex(", ".join(map(short_name, gains[0]["models"])))
    shown = "".join(found["signs"][0] for found in gains)
    marks = daggers("".join(f" {words}." for sign, words in MARKS.items() if sign in shown))
    scores = of_scores({found["method"]: found["scores"][0] for found in gains}
                       | {ZERO_SHOT: gains[0]["scores"][1]})
    return (
        f"Gain over zero-shot CLIP in points, mean over domains, label spaces, seeds and models "
        rf"({models}), with 95\,\% bootstrap intervals over the objects shown. Bold: the interval "
        f"is above zero; italic: below.{marks} {text.latex(scores)}".strip()
    )


def _cell(found: dict) -> str:
    low, high = (signed(bound) for bound in found["interval"])
    gain = STYLE.get(found["verdict"], "{}").format(signed(found["gain"]))
    return rf"{gain} {{\tiny [{low}, {high}]}}"
