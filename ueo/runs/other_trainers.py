"""Trainers that were not written for this project, as those of CoOp's family: their record.

They train with labels unless they say `uses_labels = False`, evaluate once, at the end, and hand
logits to the evaluator as they scale them. Their models keep Dassl's own checkpoints. From those
that train without labels, labels and paths are hidden once they are built.
"""

import time
from pathlib import Path

from dassl.data.datasets import DatasetBase

from modern_dassl import distributed
from ueo.errors import ConfigError
from ueo.images.hidden_labels import Blind, Truth, Veiled, veil
from ueo.images.other_datasets import check_labelled, complete
from ueo.results.record import peak_memory, run_facts, write_run
from ueo.runs.current_inputs import method_inputs
from ueo.runs.evaluator import UFTEvaluator
from ueo.settings.config import is_online


def prepare(trainer) -> DatasetBase:
    """Make its data set fit to be described; returns it, with labels and paths. Raises ConfigError
    where labels of tested images would be trained on, or the images are to come as a stream."""
    if is_online(trainer.cfg):
        raise ConfigError(f"--protocol online: {type(trainer).__name__} is none of this project's")
    dataset = trainer.dm.dataset
    complete(dataset, trainer.cfg)
    trainer.inputs = {**dataset.inputs, **method_inputs(trainer.cfg)}
    if not getattr(trainer, "uses_labels", True):
        _hide_labels(trainer)
    elif trainer.get_model_names():
        check_labelled(type(trainer).__name__, dataset)
    return dataset


def _hide_labels(trainer) -> None:
    """From what it trains on; from what it tests too, if the evaluator can have them by itself."""
    dataset, test = trainer.dm.dataset, trainer.test_loader
    in_order = trainer.cfg.DATALOADER.TEST.SAMPLER == "SequentialSampler"
    if in_order and isinstance(trainer.evaluator, UFTEvaluator) and not distributed.launched():
        trainer.evaluator.use_labels([item.label for item in dataset.test])
        test = Blind(test)
    labelled, unlabelled = (
        loader and Blind(loader) for loader in (trainer.train_loader_x, trainer.train_loader_u)
    )
    veil(trainer, Veiled(dataset, dataset.train_x), labelled, unlabelled, test)


def write_record(trainer, dataset: DatasetBase, started: float) -> bool:
    """result.json and outputs.npz of a finished run, from what the evaluator saw last. False, with
    a line that says why, where that was not the test set.

    dataset: what `prepare` returned; started: the run's time.monotonic().
    """
    cfg, evaluator = trainer.cfg, trainer.evaluator
    seen = evaluator.outputs() if isinstance(evaluator, UFTEvaluator) else None
    if seen is None or len(seen["labels"]) != len(dataset.test):
        print(f"No record: {cfg.TRAINER.NAME} did not evaluate the test set by UFTEvaluator")
        return False
    metrics = evaluator.measure(seen)
    result = {
        **run_facts(cfg, dataset, trainer.device, trainer.inputs),
        "set_by_hand": trainer.set_by_hand,
        "uses_labels": getattr(trainer, "uses_labels", True),
        "reads_labels": False,
        "score": "msp",  # the largest probability, of logits at their own scale
        "metrics": {"test": metrics},
        "evaluations": [{"epoch": trainer.max_epoch, "test": metrics}],
        "wall_seconds": time.monotonic() - started,
        "peak_memory_bytes": peak_memory(trainer.device),
    }
    outputs = {
        "test_labels": seen["labels"],
        "test_predictions_after": seen["predictions"],
        "test_scores_after": seen["scores"],
        "test_confidences_after": seen["confidences"],
        "test_paths": Truth(dataset).paths("test"),
        **Truth(dataset).classes(),
    }
    write_run(Path(trainer.output_dir), result, outputs)
    return True
