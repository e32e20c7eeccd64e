"""The sentence about methods that lack domains, label spaces or seeds which others have."""

import pytest

from ueo.results.coverage import MOST, OF_SOME, sentence, uneven


def runs(method, domains="ab", seeds=(1, 2), setting="open"):
    return [(method, {"setting": setting, "domain": d, "seed": s}) for d in domains for s in seeds]


def test_complete_runs_give_no_sentence():
    alike = [*runs("Zero", seeds=(1,)), *runs("New"), *runs("Other")]
    assert uneven(alike) == [] and sentence([]) == ""


@pytest.mark.parametrize(("found", "clause"), [
    ([*runs("A"), *runs("B", "a")], "B lacks open b"),
    ([*runs("A", "a"), *runs("A", "b", (1,))], "A has of open b seed 1 alone"),
    ([*runs("A"), *runs("B", seeds=(1, 2, 3))], "A has seeds 1, 2, B has seeds 1, 2, 3"),
])
def test_missing_runs_are_named(found, clause):
    assert uneven(found) == [clause]
    assert f"{clause}. A mean over domains is over the seeds" in sentence(uneven(found))
    assert f"{clause}. Means are over the runs that exist" in sentence(uneven(found), OF_SOME)


def test_a_long_list_is_cut():
    words = sentence([f"A lacks open {i}" for i in range(MOST + 4)])
    assert "; and 4 more" in words and words.count("lacks") == MOST


@pytest.mark.parametrize(("found", "without", "clause"), [
    (runs("A"), [("B", "open", d, 1) for d in "ab"], "B lacks all runs"),
    (runs("A", "a"), [("A", "open", "b", s) for s in (1, 2)], "no method has open b"),
    (runs("A"), [("A", "open", d, 3) for d in "ab"], "A lacks seed 3"),
    ([*runs("A"), *runs("B", "a")], [("B", "open", "b", s) for s in (1, 2)], "B lacks open b"),
])
def test_requested_combinations_without_any_run_are_named(found, without, clause):
    assert uneven(found, without) == [clause]
