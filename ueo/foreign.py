"""Trainers that were not written for this project, as those of CoOp's family: their record.

They train with labels unless they say `uses_labels = False`, evaluate once, at the end, and hand
logits to the evaluator as they scale them. Their models keep Dassl's own checkpoints.
"""

import os
import time
from pathlib import Path

import numpy as np

from ueo.adopt import adopt, check_labelled
from ueo.evaluator import UFTEvaluator
from ueo.record import peak_memory, run_facts, write_run
from ueo.started import method_inputs


def is_foreign(trainer) -> bool:
    """Whether `trainer` leaves its record to others."""
    return not hasattr(trainer, "evaluations")


def prepare(trainer) -> None:
    """Make its data set fit to be described. Raises ConfigError where labels of tested images would
    be trained on."""
    dataset = trainer.dm.dataset
    adopt(dataset, trainer.cfg)
    trainer.inputs = {**dataset.inputs, **method_inputs(trainer.cfg)}
    if trainer.get_model_names() and getattr(trainer, "uses_labels", True):
        check_labelled(type(trainer).__name__, dataset)


def write_record(trainer, started: float) -> bool:
    """result.json and outputs.npz of a finished run, from what the evaluator saw last; `started` is
    its time.monotonic(). False, with a line that says why, where that was not the test set."""
    cfg, dataset, evaluator = trainer.cfg, trainer.dm.dataset, trainer.evaluator
    seen = evaluator.outputs() if isinstance(evaluator, UFTEvaluator) else None
    if seen is None or len(seen["labels"]) != len(dataset.test):
        print(f"No record: {cfg.TRAINER.NAME} did not evaluate the test set by UFTEvaluator")
        return False
    metrics = evaluator.measure(seen)
    result = {
        **run_facts(cfg, dataset, trainer.device, trainer.inputs),
        "uses_labels": getattr(trainer, "uses_labels", True),
        "metrics": {"test": metrics},
        "evaluations": [{"epoch": trainer.max_epoch, "test": metrics}],
        "wall_seconds": time.monotonic() - started,
        "peak_memory_bytes": peak_memory(trainer.device),
    }
    outputs = {
        "test_labels": seen["labels"],
        "test_predictions_after": seen["predictions"],
        "test_scores_after": seen["scores"],
        "test_paths": np.array([os.path.relpath(i.impath, dataset.root) for i in dataset.test]),
    }
    write_run(Path(trainer.output_dir), result, outputs)
    return True
