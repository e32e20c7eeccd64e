"""The evaluator that the engine calls: direction of scores, printed lines and results."""

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


def test_perfect_detection_has_an_auroc_of_100(evaluator):
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


def test_the_evaluator_is_in_dassls_registry():
    assert EVALUATOR_REGISTRY.get("UFTEvaluator") is UFTEvaluator


def test_without_images_of_known_classes_metrics_are_undefined(evaluator, capsys):
    evaluator.process(COSINES[4:], LABELS[4:])
    assert evaluator.evaluate()["accuracy"] is None
    printed = capsys.readouterr().out
    assert "no image of a known class" in printed and "* OOD images: 2" in printed
    assert not re.search(r": 0\.0+%|100\.0%", printed)
    assert "not defined here: accuracy, pacc, auroc" in printed


def test_parsers_do_not_take_lines_of_another_set_for_the_test_sets(capsys):
    other = UFTEvaluator(get_cfg_default(), num_known=3, prefix="unlabelled")
    other.process(COSINES, LABELS)
    other.evaluate()
    printed = capsys.readouterr().out
    assert "* unlabelled accuracy: 75.00%" in printed and "=> result" not in printed
    assert not re.search(r"\* (accuracy|error|macro_f1|pacc|auroc): ", printed)
