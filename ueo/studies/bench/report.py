"""Write the bench's results as data, tables and figures."""

from collections import defaultdict
from pathlib import Path

from tabulate import tabulate

from ueo.files import write_json, write_text
from ueo.grids.choices import ALL, config_name, trainer_names
from ueo.grids.grid_settings import ZERO_SHOT, GridSettings
from ueo.grids.run_grid import selection
from ueo.results.paper import domains, names, style
from ueo.results.wording import gain_of, of_scores, signed
from ueo.studies.bench import latex
from ueo.studies.bench.gains import METRICS, measured
from ueo.studies.bench.judgement import AS_THEY_ARE, BY_ITS_SCORE, EACH_SETTING
from ueo.studies.bench.protocol import DATASET, SHIPPED
from ueo.studies.bench.runs import BY_LABELS, WITHOUT_LABELS, Reported
from ueo.text import file_name

TITLES = {"setting": "label space"}
SIDES = {"method": 0, "over": 1}  # which of the two compared methods the first column names
SIGNS = {
    "†": f"{latex.MARKS['†']}; gains are on the images that both methods were tested on.",
    "‡": f"{latex.MARKS['‡']}.",
}


def write(settings: GridSettings, models: tuple[str, ...], chosen: dict[tuple[str, str], dict],
          reported: Reported) -> None:
    """Write results, tables and figures beside the records, and print the tables."""
    results = {
        "models": list(models),
        "choices": [{"architecture": kind, "method": method, **choice}
                    for (kind, method), choice in chosen.items()],
        "gains": measured(reported),
    }
    stem, text = _stem(settings, models), markdown(results)
    write_json(f"{stem}.json", results)
    write_text(f"{stem}.md", text)
    scopes = dict.fromkeys(row["scope"] for row in results["gains"])
    write_text(f"{stem}.tex", "\n".join(
        latex.table([row for row in results["gains"] if row["scope"] == scope])
        for scope in scopes))
    print(f"\n{text}\nResults: {stem}.{{json,md,tex}}")
    _draw(stem, results["gains"], ZERO_SHOT)


def write_judgement(settings: GridSettings, models: tuple[str, ...], found: dict) -> None:
    """Write results, tables and figures of one method over every other, and print the tables.
    found: from `judgement.judged`."""
    stem, text = _stem(settings, models, found["method"]), judgement(found)
    write_json(f"{stem}.json", found)
    write_text(f"{stem}.md", text)
    print(f"\n{text}\nResults: {stem}.{{json,md}}")
    rows = [{**row, "method": row["over"], "signs": row["signs"][::-1]}
            for row in found[AS_THEY_ARE]]
    _draw(stem, rows, "each method", f"{found['method']}, ")


def _stem(settings: GridSettings, models: tuple[str, ...], judged: str = "") -> Path:
    """Return the stem of the file names: the selection, so that no report overwrites another."""
    others = [n for n in trainer_names(settings) if n not in (ZERO_SHOT, judged)]
    methods = [ALL] if ALL in settings.trainers else others
    whole = set(models) == set(SHIPPED.values())
    parts = ["bench", *([judged, "over"] if judged else []), *(methods or [ZERO_SHOT]),
             *([] if whole else map(latex.short_name, models)),
             config_name("", settings).lstrip("+"), *selection(settings, [])]
    return Path(settings.output, DATASET, file_name("-".join(filter(None, parts))))


def judgement(found: dict) -> str:
    """Return tables of one method over every other, for each group of domains and scope."""
    method, parts = found["method"], []
    for (scope, group), rows in _parts(found[AS_THEY_ARE]).items():
        words, place = _words(scope, group), (scope, group)
        parts += [f"## {method} over each method, {words}", *gains_tables(rows, "over"),
                  f"### Each of them by {method}'s score, {found['score']}",
                  *gains_tables(_parts(found[BY_ITS_SCORE])[place], "over"),
                  "### Over zero-shot CLIP in each label space",
                  *gains_tables(_parts(found[EACH_SETTING])[place], "setting")]
    return "\n\n".join(parts or [f"{method} has not all its runs yet."]) + "\n"


def _draw(stem: Path, gains: list[dict], base: str, of: str = "") -> None:
    """Draw the gains over `base` on each domain, one or more figures per group of domains, and
    print their paths. of: beginning of the title."""
    for (scope, group), rows in _parts(gains).items():
        words = f"{of}{_words(scope, group)}"
        found = {"title": words[0].upper() + words[1:], "base": base, "overall": rows,
                 "use_labels": [row["method"] for row in rows if "†" in row["signs"][0]],
                 "read_labels": [row["method"] for row in rows if "‡" in row["signs"][0]],
                 "domains": list(dict.fromkeys(d for row in rows for d in row["by_domain"]))}
        with style.styled():
            pages = domains.draw(found)
            for path in style.save_pages(pages, stem.parent, f"{stem.name}-{group}-{scope}"):
                print(f"         {path} and .pdf")


def _parts(gains: list[dict]) -> dict[tuple[str, str], list[dict]]:
    found = defaultdict(list)
    for row in gains:
        found[row["scope"], row["group"]].append(row)
    return found


def _words(scope: str, group: str) -> str:
    return f"{group} styles, {scope} models"


def markdown(results: dict) -> str:
    """Return tables of the gains and of their spread, for each group of domains and scope of
    models; and of the choices."""
    parts = []
    for (scope, group), rows in _parts(results["gains"]).items():
        words, models = _words(scope, group), map(latex.short_name, rows[0]["models"])
        parts += [f"## Gains over zero-shot CLIP, {words}",
                  f"Models: {', '.join(models)}.", *gains_tables(rows),
                  f"### Spread, {words}", _spread(rows)]
    if not parts:
        parts = ["No method has all its runs yet."]
    return "\n\n".join([*parts, "## What was chosen", _choices(results["choices"])]) + "\n"


def gains_tables(rows: list[dict], first: str = "method") -> list[str]:
    """Return a table with gain, 95 % interval over objects and verdict on "it gains" for each row;
    then remarks on the methods."""
    shown = names.setting if first == "setting" else names.method
    lines = [[shown(row[first]) + (row["signs"][SIDES[first]] if first in SIDES else ""),
              *(cell(row[m]) for m in METRICS)] for row in rows]
    header = [TITLES.get(first, first), *(f"{name}, points" for name in METRICS.values())]
    table = tabulate(lines, header, "github", disable_numparse=True)
    return [table, *remarks(rows, first)]


def remarks(rows: list[dict], first: str = "method") -> list[str]:
    """Return the sentences below a table: the meaning of the signs, and the scores by which
    detection is measured if not MCM."""
    scores = {}
    for row in rows:
        over = row.get("over", ZERO_SHOT)
        scores |= dict(zip((row["method"], over), row["scores"]))
    shown = "".join(row["signs"][SIDES[first]] for row in rows) if first in SIDES else ""
    marks = [words for sign, words in SIGNS.items() if sign in shown]
    return [*marks, *filter(None, [of_scores(scores)])]


def cell(found: dict) -> str:
    """Format gain, interval and verdict."""
    return f"{gain_of(found)}, {found['verdict']}"


def _spread(rows: list[dict]) -> str:
    """Return a table: range of the mean gains over seeds, models, domains and label spaces."""
    parts = {"by_seed": "seeds", "by_model": "models", "by_domain": "domains",
             "by_setting": "label spaces"}
    lines = [
        [names.method(row["method"]), METRICS[metric],
         *(_range(row[metric][part].values()) for part in parts)]
        for row in rows for metric in ("pacc", "auroc")
    ]
    return tabulate(lines, ["method", "metric", *parts.values()], "github", disable_numparse=True)


def _range(values) -> str:
    return f"{signed(min(values), 1)} to {signed(max(values), 1)}"


def _choices(choices: list[dict]) -> str:
    """Return a table of the choices with and without labels, with HM on the tuning domain."""
    lines = []
    for choice in choices:
        picked = [choice[rule] for rule in (BY_LABELS, WITHOUT_LABELS)]
        lines.append([choice["architecture"], names.method(choice["method"]), choice["key"],
                      *("-" if value is None or choice["hm"][value] is None
                        else f"{value} ({choice['hm'][value]:.1f})" for value in picked)])
    header = ["architecture", "method", "option", "by labels (HM)", "without labels (HM)"]
    return tabulate(lines, header, "github", disable_numparse=True)
