"""Users' names are escaped for LaTeX, Markdown, plots, csv and file names."""

import pytest
from matplotlib.cbook import is_math_text

from ueo import text

HOSTILE = [
    "=1+1", "+cmd|' /C calc'!A0", "-x", "@x", "\\input{x}", "a|b", "`id`", "<script>", "$x^2$",
    "new\nline", "tab\there", "\x1b[31mred", "100%", "_hidden", "a_b", "\udcff", "\u202eback",
    '"quoted"', "a~b#c&d", "* star", "\r=1",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_become_plain_text_in_every_output(name):
    for write in (text.shown, text.latex, text.markdown, text.in_plot, text.csv_cell):
        found = write(name)
        found.encode()
        assert not any(text._commands(sign) for sign in found)
    assert not text.csv_cell(name).startswith(("=", "+", "-", "@"))
    assert not is_math_text(text.in_plot(name)) or "$" not in name
    assert not text.in_plot(name).startswith("_")
    assert "/" not in text.file_name(name + "/x")


def test_latex_is_escaped():
    assert text.latex("\\input{x}") == r"\textbackslash{}input\{x\}"
    assert text.latex("a_b & 5% $x$ #1 ~^<>|") == (
        r"a\_b \& 5\% \$x\$ \#1 \textasciitilde{}\textasciicircum{}\textless{}\textgreater{}"
        r"\textbar{}")


def test_markdown_is_escaped():
    assert text.markdown("a|b <b> `x` *y* [z]") == r"a\|b &lt;b&gt; \`x\` \*y\* \[z\]"
    assert text.markdown("high_contrast _x_") == r"high_contrast \_x\_"


@pytest.mark.parametrize("value", [None, 1.5, -3, True, "-1.5", "+2", "1e-3", "plain", "a=b"])
def test_numbers_and_plain_text_stay_as_they_are_in_csv(value):
    assert text.csv_cell(value) == value


def test_a_file_name_stays_one_level_and_short():
    assert text.file_name("..") == "%2E%2E" and text.file_name("a/b") == "a%2Fb"
    assert text.file_name("photos of 2024, =1+1") == "photos of 2024, =1+1"
    first, second = (text.file_name("é" * 300 + end) for end in "ab")
    assert first != second and len(first.encode()) <= text.LONGEST


def test_different_tables_have_different_labels():
    names = ["a-b", "a_b", "a b", "a|b", "a-b%"]
    assert len({text.label(name) for name in names}) == len(names)
