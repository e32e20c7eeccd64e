"""Every eighth case of malformed.py: malformed input gives one line and a status."""

import malformed
import malformed_cases as cases
import pytest

EVERY = 8


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("malformed") / "project"
    malformed.start_project(folder)
    return folder


@pytest.mark.draws  # pictures are drawn from damaged records, too
def test_malformed_input_is_one_line_that_names_it(project):
    found = {case.label: malformed.judge(project, case, 60) for case in cases.every()[::EVERY]}
    assert len(found) > 50
    wrong = {label: what for label, what in found.items() if what[0] not in malformed.GOOD}
    assert not wrong


def test_there_are_over_400_cases_with_different_labels():
    labels = [case.label for case in cases.every()]
    assert len(labels) == len(set(labels)) > 400


@pytest.mark.parametrize(("status", "text", "made", "found"), [
    (0, "", set(), "taken"), (None, "", set(), "hangs"),
    (2, "Error: KEY is bad\n", set(), "refused"),
    (2, "Error: it is bad\n", set(), "names nothing"), (2, "", set(), "not one line"),
    (2, "Warning: x\nError: KEY is bad\n", set(), "not one line"), (0, "", {"canary"}, "executed"),
    (1, "Traceback (most recent call last)\nKeyError: KEY", set(), "traceback"),
    (2, "Error: KEY is bad\n", {"elsewhere/x"}, "written outside"),
    (2, "Error: KEY is bad\n", {"out/log.txt"}, "refused"),
    (2, "usage: train.py\ntrain.py: error: KEY\n", set(), "usage"),
])
def test_each_outcome_has_its_verdict(status, text, made, found):
    case = cases.Case("KEY=1", "train", ("{out}",), ("KEY",))
    assert malformed.verdict(case, status, text, made)[0] == found
