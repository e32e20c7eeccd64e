"""The table in LaTeX: it compiles, columns agree, and the caption says what a reader needs."""

import re
import shutil
import subprocess

import pytest
from test_tables import entries, record  # noqa: F401

from ueo.results import render, report, tables
from ueo.results.paper import latex, names

HOSTILE = r"50% & {more} #1 $x$ \_ ~^"
BRACKET = "photographs of [raw] things, * and [others]"


@pytest.fixture
def summary(entries):  # noqa: F811
    return tables.summarise(entries, "Zero")


@pytest.fixture
def hostile(summary):
    """A summary with seven more domains; domains, title and backbone contain LaTeX commands."""
    more = [BRACKET, *(f"{HOSTILE}{i}+scene{i}" for i in range(1, 7))]
    for row in summary["rows"]:
        for key in ("values", "marks", "gain"):
            if key in row:
                row[key].update({domain: row[key]["a"] for domain in more})
    return {**summary, "title": HOSTILE, "domains": [*summary["domains"], *more],
            "backbone": f"weights{HOSTILE}.pt", "use_labels": ["New"],
            "uneven": ["New lacks open b_1"]}


def test_environments_and_columns_agree(hostile):
    text = latex.table(hostile, "toy")
    opened = re.findall(r"\\begin{(tabular|table\*)}", text)
    assert sorted(opened) == sorted(re.findall(r"\\end{(tabular|table\*)}", text))
    assert re.sub(r"\\[{}]", "", text).count("{") == re.sub(r"\\[{}]", "", text).count("}")
    for columns, body in re.findall(r"\\begin{tabular}{(lc+)}(.*?)\\end{tabular}", text, re.DOTALL):
        rows = [line for line in body.splitlines() if " & " in line]
        assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}
        assert len(columns) - 1 <= latex.WIDEST
    assert opened.count("tabular") == 2  # eleven columns do not fit into one block
    assert len(re.findall(r"(?<!\\)(?<!\d)%", text)) == 0  # nothing is a comment


def test_a_bracket_in_a_head_is_no_argument_of_the_line_break_before_it(hostile):
    heads = re.findall(r"\\shortstack{.*?}[ &*]", latex.table(hostile, "toy"))
    (head,) = (head for head in heads if "photo" in head)
    assert head.count(r"\\\relax ") == 2 and not re.search(r"\\\\[\[*]", head)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="there is no pdflatex")
def test_the_table_compiles(hostile, summary, tmp_path):
    bodies = latex.table(hostile, "a") + latex.table(summary, "b")
    (tmp_path / "doc.tex").write_text(
        "\\documentclass[twocolumn]{article}\\usepackage{booktabs}\n\\begin{document}\n"
        f"{bodies}\nTable~\\ref{{tab:b}}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc.tex"], cwd=tmp_path,
        capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "multiply defined" not in done.stdout and "Undefined control" not in done.stdout


def test_one_table_has_metric_pairs_gains_and_intervals(summary):
    text = latex.table(summary, "toy")
    assert text.count(r"\begin{table*}") == 1
    assert r"\textbf{53.0}{\tiny$\pm$1.4}\,/\,70.0{\tiny$\pm$0.0}" in text
    assert r"\quad gain & $+3.0$\,/\,$+0.0$" in text
    pacc = summary["overall"][0]["pacc"]
    (low, high), (first, second) = pacc["interval"], pacc["seeds"]
    assert f"[${low:+.2f}$, ${high:+.2f}$] (seeds ${first:+.2f}$, ${second:+.2f}$)" in text


def test_every_caption_says_what_intervals_are_over(summary):
    words = "Intervals are over the test images of these runs, not over retraining."
    for text in (latex.table(summary, "toy"), report.console(summary), render.markdown(summary)):
        assert text.count(words) == 1
    alone = {**summary, "overall": []}
    assert "Intervals are" not in latex.table(alone, "toy")


def test_the_caption_says_seeds_bold_and_protocol_and_holds_no_hash_or_path(summary):
    summary = {**summary, "use_labels": ["New"], "uneven": ["New lacks open b_1"]}
    words = latex.caption(summary)
    for part in ("2 seeds", "Bold: best", "Protocol released", "hyper-parameters were chosen",
                 r"$^\dagger$ trained with labels", r"Runs are missing: New lacks open b\_1"):
        assert part in words
    assert summary["split"] not in words and "split" not in words and "†" not in words


def test_labels_differ_for_each_backbone(summary, tmp_path):
    texts = [report.write(tmp_path / "toy", stem, summary)[2].read_text()
             for stem in ("table-UEO-rn50", "table-UEO-vit_b16")]
    labels = [re.search(r"\\label{(.*)}", text)[1] for text in texts]
    assert labels == ["tab:toy-UEO-rn50", "tab:toy-UEO-vit_b16"]


def test_names_are_the_fields_or_tidied_names_of_the_registry():
    assert names.method("ZeroshotCLIP") == "zero-shot CLIP"
    assert names.method("My_Method") == "My Method"
    assert names.dataset("UFTFolder") == "Folder" and names.dataset("Office-31") == "Office-31"
    assert names.score("mcm") == "MCM" and names.domain("dslr") == "DSLR"
    assert names.domain("fluent_flat+gaussian_noise3") == "Fluent flat, Gaussian noise 3"
    assert names.shifted("a+b") == ("a+b", "", names.CLEAN)
    assert names.shortened("abcdefghij", 7) == "abcd…ij"
