"""Methods side by side, in groups: what they use, how good and how slow they are.

Data first: `compare` turns a table's summary and records into plain numbers, `markdown` these into
text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from ueo.files import write_json, write_text
from ueo.results.bootstrap import PAIR
from ueo.results.comparable import Entry
from ueo.results.coverage import sentence
from ueo.results.gains import mean
from ueo.results.paper.names import METRICS as NAMES
from ueo.results.record import score_of, was_resumed
from ueo.results.tables import MEAN
from ueo.results.wording import gain_of, of_scores
from ueo.scores import AGAINST_NAMES

ZERO_SHOT, TRANSDUCTIVE, TUNED, FEW_SHOT = GROUPS = (
    "zero-shot", "transductive", "tuned without labels", "few-shot")
USES = {
    "L": "labelled images of each class, which leave its test set",
    "N": "negative names",
    "A": "all images of an evaluation at once",
    "O": "the labels of the unlabelled images, as an oracle",
}
METRICS = ("pacc", "auroc", "fpr95", "h_score", "ece")


def compare(summary: dict, entries: list[Entry], groups: Mapping[str, str]) -> list[dict]:
    """Return one row per method, in the order of GROUPS: means over domains (without the tuning
    domain), label spaces and seeds in percent, None if a run is missing; gains over the summary's
    base with intervals; mean seconds of the runs that were not resumed, evaluations included.

    groups: {method: one of GROUPS}.
    """
    gains = {gain["method"]: gain for gain in summary["overall"]}
    rows = []
    for method in sorted(summary["methods"], key=lambda m: GROUPS.index(groups[m])):
        records = [record for _, record in entries if record["trainer"] == method]
        whole = [r.get("wall_seconds") for r in records if not was_resumed(r)]
        rows.append({
            "group": groups[method],
            "method": method,
            "uses": _uses(records, groups[method]),
            "score": score_of(records[0]),
            **{metric: _over_label_spaces(summary, method, metric) for metric in METRICS},
            "gains": {metric: gains[method][metric] for metric in PAIR} if method in gains else {},
            "seconds": mean(whole) if whole else None,
        })
    return rows


def _uses(records: list[dict], group: str) -> list[str]:
    """Keys of USES."""
    true = {"L": any(record.get("uses_labels") for record in records),
            "N": not set(map(score_of, records)).isdisjoint(AGAINST_NAMES),
            "A": group == TRANSDUCTIVE,
            "O": any(record.get("reads_labels") for record in records)}
    return [mark for mark in USES if true[mark]]


def _over_label_spaces(summary: dict, method: str, metric: str) -> float | None:
    cells = {row["setting"]: row["values"][MEAN].get(metric) for row in summary["rows"]
             if row["method"] == method}
    settings = dict.fromkeys(row["setting"] for row in summary["rows"])
    return mean([cells.get(setting) and cells[setting]["mean"] for setting in settings])


def markdown(rows: list[dict], base: str, missing: Sequence[str] = ()) -> str:
    """The table, and what its marks mean. missing: clauses of `coverage.uneven`."""
    lines, last = [], ""
    for row in rows:
        lines.append([
            row["group"] if row["group"] != last else "", row["method"], " ".join(row["uses"]),
            *(_number(row[metric]) for metric in METRICS),
            *(gain_of(row["gains"].get(metric, {}), "") for metric in PAIR),
            _number(row["seconds"]),
        ])
        last = row["group"]
    header = ["group", "method", "uses", *(NAMES[m] for m in METRICS),
              *(f"gain in {NAMES[m]}" for m in PAIR), "seconds"]
    table = tabulate(lines, header, "github", disable_numparse=True)
    used = dict.fromkeys(mark for row in rows for mark in row["uses"])
    marks = "; ".join(f"{mark}: {USES[mark]}" for mark in USES if mark in used)
    words = (f"Means over domains, label spaces and seeds in percent; gain over {base} in points "
             "with its paired 95 % bootstrap interval over the test images of these runs, not over "
             f"retraining; seconds of a run with its evaluations.{f' {marks}.' if marks else ''}")
    scores = of_scores({row["method"]: row["score"] for row in rows})
    return f"{table}\n\n{' '.join(filter(None, (words, scores, sentence(missing))))}\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def write(
    folder: Path, stem: str, rows: list[dict], base: str, missing: Sequence[str] = ()
) -> str:
    """Write stem.json and stem.md; returns the text."""
    text = markdown(rows, base, missing)
    write_json(folder / f"{stem}.json", rows)
    write_text(folder / f"{stem}.md", text)
    return text
