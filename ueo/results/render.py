"""The numbers of a table as text: for the console, Markdown, CSV."""

import csv
import io
from collections.abc import Callable

from tabulate import tabulate

from ueo import text
from ueo.results.bootstrap import PAIR
from ueo.results.tables import MEAN, METRICS
from ueo.results.wording import NAMES, caption, sentences, signed

EXPLAINED = {
    "pacc": "mean recall over known classes",
    "auroc": "known against unknown images",
    "fpr95": "unknown images accepted where 95 % of the known ones are; lower is better",
    "hm": "harmonic mean of PACC and AUROC",
    "h_score": "harmonic mean of the recall of known classes after refusals and of the share of "
    "unknown images refused, at the run's threshold, which no label chose",
    "accuracy": "accuracy on known images",
    "ece": "expected calibration error on known images; lower is better",
}
COLUMNS = (
    "dataset", "backbone", "protocol", "label_space", "method", "uses_labels", "reads_labels",
    "domain", "metric", "mean", "std", "seeds",
)

Cell = Callable[[dict, dict], str]  # value and marks of a cell -> text


def console(summary: dict) -> str:
    """The compact table for a console: PACC / AUROC per cell, gains below each method."""
    return _compact(summary, "simple")


def markdown(summary: dict) -> str:
    """Caption, the compact table, then one table per metric; best bold, second underlined."""
    parts = [caption(summary, "github"), _compact(summary, "github")]
    for metric in METRICS:
        cell = _of_metric(metric, "**{}**", "<u>{}</u>")
        words = EXPLAINED[metric]
        parts += [f"### {NAMES[metric]}", f"{words[0].upper()}{words[1:]}, in percent.",
                  _table(summary, cell, "github")]
    return "\n\n".join(parts + sentences(summary, "github")) + "\n"


def csv_text(summary: dict) -> str:
    """One number per line, in full precision; COLUMNS is the header."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in summary["rows"]:
        for domain, values in row["values"].items():
            for metric, value in values.items():
                if value is not None:
                    table.writerow(map(text.csv_cell, [
                        summary["title"], summary["backbone"], summary["protocol"],
                        row["setting"], row["method"], row["method"] in summary["use_labels"],
                        row["method"] in summary["read_labels"], domain, metric,
                        value["mean"], value["std"], value["seeds"],
                    ]))
    return file.getvalue()


def overview(summaries: list[dict]) -> str:
    """Mean PACC / AUROC of several data sets side by side, and over all their domains if these have
    the same backbone and protocol."""
    alike = len({(s["backbone"], s["protocol"]) for s in summaries}) == 1
    titles = [text.shown(s["title"] if alike else f"{s['title']}, {s['backbone']}")
              for s in summaries]
    rows: dict[tuple, list[str]] = {}
    for number, summary in enumerate(summaries):
        for row in summary["rows"]:
            key = row["setting"], name(summary, row["method"])
            cells = rows.setdefault(key, ["-"] * len(summaries))
            cells[number] = _pair(row["values"][MEAN], {}, ("", ""))
    table = [
        [*map(text.shown, key), *cells, _over_everything(summaries, key) if alike else "-"]
        for key, cells in rows.items()
    ]
    return tabulate(table, ["label space", "method", *titles, "all domains"], disable_numparse=True)


def name(summary: dict, method: str) -> str:
    """A method's name with its marks, see `signs`."""
    return method + signs(summary, method)


def signs(summary: dict, method: str) -> str:
    """† for a method that trains with labels, ‡ for an oracle."""
    marked = {"†": summary.get("use_labels", ()), "‡": summary.get("read_labels", ())}
    return "".join(sign for sign, methods in marked.items() if method in methods)


def explained(summary: dict, methods: list[str]) -> str:
    """Return a line of a picture's title that explains the marks of these methods; "" for none."""
    marks = "".join(signs(summary, method) for method in methods)
    found = [words for words in ("† trained with labels", "‡ an oracle") if words[0] in marks]
    return f"\n{', '.join(found)}" if found else ""


def number(value: dict) -> str:
    """"53.0±1.4", or "53.0" from one seed."""
    spread = "" if value["std"] is None else f"±{value['std']:.1f}"
    return f"{value['mean']:.1f}{spread}"


def _compact(summary: dict, style: str) -> str:
    """PACC / AUROC per cell, gains below; best and second are marked from three methods on."""
    signs = ("¹", "²") if len(summary["methods"]) > 2 else ("", "")
    return _table(summary, lambda v, marks: _pair(v, marks, signs), style, gains=True)


def _table(summary: dict, cell: Cell, style: str, gains: bool = False) -> str:
    columns = [*summary["domains"], MEAN]
    write = text.WRITERS[style]
    titles = [write(d) + "*" * (d == summary["tuning_domain"]) for d in columns]
    rows, last = [], None
    for row in summary["rows"]:
        setting = row["setting"] if row["setting"] != last else ""
        last = row["setting"]
        cells = [cell(row["values"][d], row["marks"][d]) for d in columns]
        rows.append([setting, write(name(summary, row["method"])), *cells])
        if gains and "gain" in row:
            rows.append(["", "  gain", *(_gain(row["gain"][d]) for d in columns)])
    headers = ["label space", "method", *titles]
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True)


def _pair(values: dict, marks: dict, signs: tuple[str, str]) -> str:
    if not values:
        return "-"
    return " / ".join(
        "-" if values[m] is None else number(values[m]) + ("", *signs)[marks.get(m, 0)]
        for m in PAIR
    )


def _of_metric(metric: str, best: str, second: str) -> Cell:
    def cell(values: dict, marks: dict) -> str:
        if not values or values[metric] is None:
            return "-"
        return ("{}", best, second)[marks.get(metric, 0)].format(number(values[metric]))

    return cell


def _gain(value: dict) -> str:
    return " / ".join("-" if value[m] is None else signed(value[m], 1) for m in PAIR)


def _over_everything(summaries: list[dict], key: tuple[str, str]) -> str:
    """PACC / AUROC over the domains of all data sets, each counting once; "-" if one is missing."""
    found = {m: [] for m in PAIR}
    for summary in summaries:
        rows = [r for r in summary["rows"] if (r["setting"], name(summary, r["method"])) == key]
        for domain in summary["domains"]:
            if domain != summary["tuning_domain"]:
                values = rows[0]["values"][domain] if rows else {}
                for m in PAIR:
                    found[m].append(values[m]["mean"] if values and values[m] else None)
    return " / ".join(
        "-" if None in found[m] else f"{sum(found[m]) / len(found[m]):.1f}" for m in PAIR
    )
