"""Evaluators by name."""

from dassl.evaluation.build import EVALUATOR_REGISTRY, build_evaluator
from dassl.evaluation.evaluator import Classification, EvaluatorBase

from modern_dassl.lent_names import lend_below

lend_below(__name__)
