"""Published numbers: read strictly, shown beside measured ones, compared with tolerances."""

import pytest
from conftest import REPOSITORY
from test_tables import entries  # noqa: F401

from ueo.errors import DataError
from ueo.results import reference, tables

HEADER = ",".join(reference.COLUMNS) + "\n"


@pytest.fixture
def summary(entries):  # noqa: F811
    return tables.summarise(entries, "Zero")


def rows(tmp_path, *lines):
    file = tmp_path / "numbers.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n")
    return reference.read_reference(file)


def test_the_shipped_file_has_the_15_domains_and_no_number():
    file = REPOSITORY / "configs/reference/uft_15_domains.csv"
    assert reference.read_reference(file) == []
    lines = [line.split(",") for line in file.read_text().splitlines()[1:]]
    assert len({(line[0], line[2]) for line in lines}) == 15
    assert {line[3] for line in lines} == {"closed", "partial", "open", "open_partial"}
    assert all(line[6] == "" for line in lines)


def test_published_numbers_are_shown_beside_measured_ones(summary, tmp_path):
    found = rows(
        tmp_path, "toy,RN50,a,open,New,pacc,52.5,,Table 1", "TOY,,mean,open,New,auroc,71,,",
        "toy,,a,closed,New,pacc,50,,", "toy,ViT-B/16,a,open,New,pacc,50,,",
        "other,,a,open,New,pacc,50,,", "toy,,b,open,New,pacc,,,",
    )
    text = reference.beside(summary, found)
    assert "53.0" in text and "52.5" in text and "+0.5" in text and "Table 1" in text
    assert "-1.0" in text
    assert "2 published numbers have a run, 2 have none" in text


def test_comparison_with_tolerances(summary, tmp_path):
    good = ["toy,,a,open,New,pacc,53.04,,", "toy,,b,open,Zero,pacc,61,1,"]
    assert reference.compare([summary], rows(tmp_path, *good), "f") == []
    bad = ["toy,,a,open,New,pacc,53.06,,", "toy,,b,open,Zero,pacc,61,0.9,",
           "toy,,c,open,Zero,pacc,61,,"]
    lines = reference.compare([summary], rows(tmp_path, *bad), "f")
    assert len(lines) == 3 and "measured 53.0000" in lines[0] and "no such number" in lines[2]


def test_a_file_without_values_is_refused(summary, tmp_path):
    with pytest.raises(DataError, match="f: no row has a value"):
        reference.compare([summary], rows(tmp_path, "toy,,a,open,New,pacc,,,"), "f")


@pytest.mark.parametrize(("line", "part"), [
    ("toy,,a,opened,New,pacc,1,,", "line 2: label_space 'opened'"),
    ("toy,,a,open,New,acc,1,,", "line 2: metric 'acc'"),
    ("toy,,a,open,New,pacc,x,,", "line 2: value 'x'"),
    ("toy,,a,open,New,pacc,101,,", "line 2: value '101'"),
    ("toy,,a,open,New,pacc,nan,,", "line 2: value 'nan'"),
    ("toy,,a,open,New,pacc,1,-1,", "line 2: tolerance '-1'"),
    ("toy,,a,open,New,pacc,1,,\ntoy,,a,open,New,pacc,2,,", "line 3: repeats"),
    ("toy,,a", "line 2: label_space"),
])
def test_a_wrong_line_of_published_numbers_is_named(tmp_path, line, part):
    with pytest.raises(DataError) as caught:
        rows(tmp_path, line)
    assert "numbers.csv" in str(caught.value) and part in str(caught.value)


def test_a_wrong_header_and_a_binary_file_are_refused(tmp_path):
    file = tmp_path / "numbers.csv"
    for content in (b"", b"a,b\n1,2\n", b"\xff\xfe\x00"):
        file.write_bytes(content)
        with pytest.raises(DataError, match="numbers.csv"):
            reference.read_reference(file)
