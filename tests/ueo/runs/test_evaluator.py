"""The evaluator that the engine calls: direction of scores, what it prints, what it gives."""

import re

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import EVALUATOR_REGISTRY

from ueo.runs.evaluator import UFTEvaluator

# three known classes; unknown images (labels 3, 4) match no class well
COSINES = torch.tensor([
    [0.35, 0.10, 0.10], [0.10, 0.34, 0.10], [0.10, 0.10, 0.33], [0.30, 0.32, 0.05],
    [0.15, 0.14, 0.15], [0.16, 0.15, 0.15],
])
LABELS = torch.tensor([0, 1, 2, 0, 3, 4])


@pytest.fixture
def evaluator():
    return UFTEvaluator(get_cfg_default(), num_known=3, unlabelled_classes={0, 1, 3})


def test_a_model_that_knows_what_it_knows_scores_100_auroc(evaluator):
    for rows in (slice(0, 4), slice(4, 6)):  # in batches
        evaluator.process(COSINES[rows], LABELS[rows])
    result = evaluator.evaluate()
    assert result["auroc"] == 100 and result["fpr95"] == 0
    assert list(result)[0] == "accuracy" and result["accuracy"] == 75
    assert result["pacc"] == pytest.approx(100 * (0.5 + 1 + 1) / 3)


def test_lines_that_the_familys_parsers_read(evaluator, capsys):
    evaluator.process(COSINES, LABELS)
    evaluator.evaluate()
    printed = capsys.readouterr().out
    assert "=> result" in printed.splitlines()
    for name in ("accuracy", "error", "macro_f1"):
        assert re.search(rf"\* {name}: ([\.\deE+-]+)%", printed)
    assert "* accuracy: 75.0%" in printed


def test_it_is_found_by_name():
    assert EVALUATOR_REGISTRY.get("UFTEvaluator") is UFTEvaluator


def test_without_an_image_of_a_known_class_no_number_is_invented(evaluator, capsys):
    evaluator.process(COSINES[4:], LABELS[4:])
    assert evaluator.evaluate()["accuracy"] is None
    printed = capsys.readouterr().out
    assert "no image of a known class" in printed and "* OOD images: 2" in printed
    assert not re.search(r": 0\.0+%|100\.0%", printed)
    assert "not defined here: accuracy, pacc, auroc" in printed


def test_the_lines_of_another_set_are_not_taken_for_the_test_sets(capsys):
    other = UFTEvaluator(get_cfg_default(), num_known=3, aside="unlabelled")
    other.process(COSINES, LABELS)
    other.evaluate()
    printed = capsys.readouterr().out
    assert "* unlabelled accuracy: 75.00%" in printed and "=> result" not in printed
    assert not re.search(r"\* (accuracy|error|macro_f1|pacc|auroc): ", printed)
