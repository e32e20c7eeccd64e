"""The summary after a run on one's own images and after predictions of new images."""

from collections import Counter

import pytest
import torch

from ueo.errors import DataError
from ueo.inference.summary import Tally, summary, tally_file, verdict, verdict_of
from ueo.results.predictions import Prediction, write_predictions
from ueo.scores import OF_SOFTMAX, SCORES


def predictions() -> list[Prediction]:
    rows = [("mug", True, "mug"), ("mug", True, "fan"), ("fan", False, "fan"), ("=sun", True, None)]
    return [Prediction(f"{i}.png", name, 0.9, 0.5, known, "bike", 0.1, before)
            for i, (name, known, before) in enumerate(rows)]


def test_a_file_of_predictions_is_counted_line_by_line(tmp_path):
    write_predictions(tmp_path / "p.csv", predictions())
    found = tally_file(tmp_path / "p.csv")
    assert found == Tally(Counter({"mug": 2, "'=sun": 1}), unknown=1, compared=3, changed=1)
    assert found.images == 4


@pytest.mark.parametrize("content", [
    b"image;class;known\na.png;mug;yes\n", b"image,class,known,class_before\ncaf\xe9,mug", b"",
    None,
])
def test_predictions_that_a_spreadsheet_saved_in_another_form_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"p\.csv: cannot be read \(.*\); --overwrite makes it"):
        tally_file(tmp_path / "p.csv")


def test_a_summary_says_what_was_read_skipped_found_and_changed():
    found = Tally(Counter(mug=1200, fan=60), 40, 1300, 7, Counter({"damaged image": 2, "empty": 1}))
    assert summary(found) == [
        "Images: 1,300 read, 3 skipped (damaged image 2, empty 1).",
        "Classes: mug 1,200, fan 60; none of these: 40 (3 %).",
        "Changed: 7 of 1,300 images have another class than before adaptation.",
    ]
    assert summary(Tally(skipped=Counter(empty=1))) == ["Images: 0 read, 1 skipped (empty 1)."]
    assert summary(Tally(unknown=2))[1] == "Classes: none; none of these: 2 (100 %)."


def test_a_summary_names_the_largest_classes_and_counts_the_others():
    found = Tally(Counter({f"class {i:02}": 100 - i for i in range(30)}))
    line = summary(found)[1]
    assert line.startswith("Classes: class 00 100, class 01 99") and "class 10" not in line
    assert f"20 more classes {sum(100 - i for i in range(10, 30)):,}; none of these: 0" in line


@pytest.mark.parametrize(("arguments", "words"), [
    (("otsu", 0.5, 0.7), "verdicts are uncertain"),
    (("otsu", 0.5, 1.7), "is at least 0.5 (otsu). The scores form two groups"),
    (("your number", 0.5, 0.0), "do not support any threshold"),
    (("none", None, 1.7), "every image counts as known"),
])
def test_a_verdict_says_how_far_it_can_be_trusted(arguments, words):
    line = verdict(*arguments)
    assert words in line and "\n" not in line


@pytest.mark.parametrize(("names", "score", "words"), [
    (["mug"], "mcm", "only one class name, 'mug': its probability and the score mcm are the same"),
    (["mug"], "max_logit", "The scores form two groups"),
    (["mug", "fan"], "mcm", "The scores form two groups"),
])
def test_a_verdict_says_that_a_single_class_name_makes_softmax_scores_useless(names, score, words):
    facts = {"class_names": names, "score": score, "rule": "otsu", "thresholds": {"otsu": 0.5},
             "separation": 1.7}
    assert words in verdict_of(facts)


def test_the_scores_that_are_constant_with_one_class_are_listed():
    cosines = torch.rand(5, 1, generator=torch.Generator().manual_seed(1))
    constant = {name for name, score in SCORES.items() if score(cosines).unique().numel() == 1}
    assert constant == set(OF_SOFTMAX)
