"""Robustness of fine-tuning: its own domain, other domains, unseen classes, OOD detection.

A test is one of TESTS; an arm is a way to fine-tune. Figures are means over runs within a test
domain, then over domains; gains are paired on the same test images.
"""

from tabulate import tabulate

from ueo.metrics import harmonic_mean
from ueo.results.coverage import OF_SOME, sentence
from ueo.results.wording import gain_of, of_scores
from ueo.studies import claims
from ueo.studies.ood_study import gain, over_domains
from ueo.studies.ood_tables import marked
from ueo.studies.scored_runs import ScoredRun
from ueo.text import WRITERS

OWN, SHIFT, BASE, NEW, ALL = TESTS = ("own", "shift", "base", "new", "all")
COLUMNS = {  # name in the table: (tests, metric); two tests: their harmonic mean
    "own domain": ((OWN,), "pacc"),
    "other domains": ((SHIFT,), "pacc"),
    "HM": ((OWN, SHIFT), "pacc"),
    "base": ((BASE,), "pacc"),
    "new": ((NEW,), "pacc"),
    "HM of base and new": ((BASE, NEW), "pacc"),
    "base+new": ((ALL,), "pacc"),
    "AUROC own": ((OWN,), "auroc"),
    "AUROC other": ((SHIFT,), "auroc"),
}
TITLES = {"HM of base and new": "HM"}  # columns with another name in the table
ZERO, PLAIN, CONTRASTIVE = "zero-shot", "cross-entropy", "contrastive"
BOTH = "ARF, both anchors"
COMPARED = (  # (test, metric) in the table of gains
    (OWN, "pacc"), (SHIFT, "pacc"), (NEW, "pacc"), (OWN, "auroc"), (SHIFT, "auroc"),
)

Runs = dict[str, dict[str, list[ScoredRun]]]  # arm -> test -> runs


def means(runs: Runs) -> list[dict]:
    """Return a row per arm: its name, and COLUMNS in percent; None if not measured."""
    return [{"arm": arm, **{name: _column(tests, *spec) for name, spec in COLUMNS.items()}}
            for arm, tests in runs.items()]


def _column(tests: dict[str, list[ScoredRun]], parts: tuple[str, ...], metric: str):
    values = [_mean(tests.get(part, []), metric) for part in parts]
    if None in values:
        return None
    return values[0] if len(values) == 1 else harmonic_mean(*values)


def _mean(runs: list[ScoredRun], metric: str) -> float | None:
    results = (run.result for run in runs)
    return over_domains((r["domain"], r["metrics"]["test"][metric]) for r in results)


def compare(runs: Runs, ours: str, theirs: str, test: str, metric: str) -> dict:
    """Return a comparison of two arms on one test, for claims.claim."""
    both = [runs.get(arm, {}).get(test, []) for arm in (ours, theirs)]
    found = gain(*both, metric=metric) if all(both) else None
    return {"of": f"{ours} over {theirs}, {test}", "metric": metric, **(found or {})}


def gains(runs: Runs) -> list[dict]:
    """Return the comparisons of each other arm with CONTRASTIVE, on COMPARED."""
    return [compare(runs, arm, CONTRASTIVE, test, metric)
            for arm in runs if arm != CONTRASTIVE for test, metric in COMPARED]


def claimed(runs: Runs) -> list[dict]:
    """Return the claims of the paper with our measurements."""
    anchors = [arm for arm in runs if arm.startswith("ARF")]

    def each(test: str) -> list[dict]:
        return [compare(runs, arm, CONTRASTIVE, test, "pacc") for arm in anchors]

    tuned = [arm for arm in (PLAIN, CONTRASTIVE) if arm in runs]
    return [
        claims.claim("fine-tuning on class prompts alone loses accuracy on other domains",
                     [compare(runs, ZERO, arm, SHIFT, "pacc") for arm in tuned]),
        claims.claim("fine-tuning on class prompts alone loses accuracy on unseen classes",
                     [compare(runs, ZERO, arm, NEW, "pacc") for arm in tuned]),
        claims.claim("anchors keep more accuracy on other domains", each(SHIFT)),
        claims.claim("anchors keep more accuracy on unseen classes", each(NEW)),
        claims.claim("anchors cost nothing on the domain itself", each(OWN), claims.not_worse),
        claims.claim("both anchors together beat each alone",
                     [compare(runs, BOTH, arm, test, "pacc") for arm in anchors if arm != BOTH
                      for test in (SHIFT, NEW)]),
    ]


# text


def table(rows: list[dict], form: str = "github") -> str:
    """Return a table with a line per arm; the best of a column is marked."""
    best = {name: max((row[name] for row in rows if row[name] is not None), default=None)
            for name in COLUMNS}
    lines = [[WRITERS[form](row["arm"]), *(marked(row[name], best[name], form) for name in COLUMNS)]
             for row in rows]
    return tabulate(lines, ["method", *(TITLES.get(name, name) for name in COLUMNS)], tablefmt=form,
                    disable_numparse=True, stralign="right", colalign=("left",))


def gains_table(found: list[dict], arms: list[str]) -> str:
    """Return a table with a line per arm, a column per test: gain over CONTRASTIVE, interval."""
    cells = {(c["of"], c["metric"]): gain_of(c) for c in found}
    lines = []
    for arm in arms:
        if arm != CONTRASTIVE:
            of = f"{arm} over {CONTRASTIVE}"
            lines.append([WRITERS["github"](arm), *(cells.get((f"{of}, {test}", metric), "-")
                                                    for test, metric in COMPARED)])
    header = [f"over {CONTRASTIVE}", *(f"{metric.upper()} {test}" for test, metric in COMPARED)]
    return tabulate(lines, header, "github", disable_numparse=True)


def caption(result: dict, form: str = "simple") -> str:
    """Describe the runs of the study and the columns of the table."""
    shots, scores = result["shots"], of_scores(result["scores"])
    trained = f"{shots} shots a class" if shots else "all labelled images"
    listed = {key: ", ".join(map(str, result[key])) for key in ("domains", "seeds")}
    return WRITERS[form](f"{result['title']}, {result['backbone']}, protocol {result['protocol']}, "
            f"{trained}: domains {listed['domains']}; seeds {listed['seeds']}. "
            "PACC in percent: fine-tuned on one domain with all known classes, tested on it and on "
            "the others; fine-tuned on the base half of the known classes, tested on the base "
            "half, the new half, and both. HM: harmonic mean of the two columns before. AUROC: "
            f"known against unknown classes{f'. {scores}' if scores else ', MCM.'} "
            + sentence(result["uneven"], OF_SOME))


def text(result: dict) -> str:
    """Return the text for a console."""
    return "\n\n".join([
        table(result["means"], "simple"), f"* the best of a column. {caption(result)}",
        claims.table(result["claims"], "simple"),
    ])


def markdown(result: dict) -> str:
    """Return the whole study in Markdown."""
    arms = [row["arm"] for row in result["means"]]
    return "\n\n".join([
        caption(result, "github"), table(result["means"]),
        "### Gains over contrastive fine-tuning, points", gains_table(result["gains"], arms),
        "### Claims", claims.table(result["claims"]),
    ]) + "\n"
