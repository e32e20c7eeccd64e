"""Text of the study of OOD scores, for the console and in Markdown."""

from collections.abc import Iterable
from urllib.parse import quote

from tabulate import tabulate

from ueo.results.coverage import OF_SOME, sentence
from ueo.results.wording import gain_of
from ueo.studies import claims
from ueo.text import WRITERS, markdown

SHOWN = {
    "auroc": ("AUROC, percent; higher is better", max),
    "fpr95": ("FPR95, percent of OOD images accepted; lower is better", min),
}


def arms_by_scores(means: list[dict], metric: str, form: str = "github") -> str:
    """Return a table: a line per arm; PACC and a column per score. The best score is marked."""
    best, write = SHOWN[metric][1], WRITERS[form]
    scores = list(dict.fromkeys(row["score"] for row in means))
    lines = []
    for method, shots in dict.fromkeys((row["method"], row["shots"]) for row in means):
        own = {row["score"]: row for row in means if (row["method"], row["shots"]) ==
               (method, shots)}
        values = {s: own[s][metric] for s in own if own[s][metric] is not None}
        top = best(values.values()) if values else None
        cells = [marked(values.get(score), top, form) for score in scores]
        pacc = next(iter(own.values()))["pacc"]
        lines.append([write(method), shots or "", "-" if pacc is None else f"{pacc:.2f}", *cells])
    return tabulate(lines, ["method", "shots", "PACC", *map(write, scores)], tablefmt=form,
                    disable_numparse=True, stralign="right", colalign=("left",))


def marked(value: float | None, top: float | None, form: str) -> str:
    """Format a number with two digits, marked if it prints like `top`; "-" for None."""
    if value is None:
        return "-"
    shown = f"{value:.2f}"
    if shown != f"{top:.2f}":
        return shown
    return f"**{shown}**" if form == "github" else f"{shown}*"


def domain_table(comparisons: list[dict]) -> str:
    """Return a table with a line per comparison and a column per domain."""
    domains = list(dict.fromkeys(c["domain"] for c in comparisons))
    lines = {}
    for c in comparisons:
        line = lines.setdefault((c["of"], c["metric"]), dict.fromkeys(domains, "-"))
        line[c["domain"]] = gain_of(c)
    rows = [[markdown(of), metric.upper(), *cells.values()]
            for (of, metric), cells in lines.items()]
    header = ["", "metric", *map(markdown, domains)]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def caption(study: dict, form: str = "simple") -> str:
    """Describe the data set, backbone, protocol and runs of the study."""
    return WRITERS[form](
        f"{study['title']}, {study['backbone']}, protocol {study['protocol']}: domains "
        f"{_listed(study['domains'])}; label spaces {_listed(study['settings'])}; seeds "
        f"{_listed(study['seeds'])}. Shots of UPL and UP-Adapter are pseudo-labelled images a "
        f"class, those of the others labelled ones. {sentence(study['uneven'], OF_SOME)}".strip()
    )


def _listed(items: Iterable) -> str:
    return ", ".join(str(item) for item in items)


def text(study: dict) -> str:
    """Return the text for a console: AUROC by score, then the claims."""
    return "\n\n".join([
        arms_by_scores(study["means"], "auroc", "simple"),
        f"AUROC, percent; * the best score of a line. {caption(study)}",
        claims.table(study["claims"], "simple"),
    ])


def document(study: dict, pictures: list[str]) -> str:
    """Return the whole study in Markdown. pictures: files in the same folder."""
    parts = [caption(study, "github")]
    for metric, (title, _) in SHOWN.items():
        parts += [f"### {title}", arms_by_scores(study["means"], metric)]
    parts += ["### Claims", claims.table(study["claims"])]
    if study["by_domain"]:
        parts += ["### UP-Adapter on each domain, gain in points", domain_table(study["by_domain"])]
    parts += [f"![]({quote(name, safe='+=,')})" for name in pictures]
    return "\n\n".join(parts) + "\n"
