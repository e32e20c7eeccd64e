"""Records of trainers that were not written for this project, such as those of the CoOp family.

They train with labels unless they set `uses_labels = False`; then labels and paths are hidden from
them once they are built. They evaluate once, at the end, pass scaled logits to the evaluator, and
keep Dassl's own checkpoints.
"""

import time
from pathlib import Path

from dassl.data.datasets import DatasetBase

from modern_dassl import distributed
from ueo.errors import ConfigError
from ueo.images.hashes import check_unchanged
from ueo.images.hidden_labels import GroundTruth, UnlabelledDataset, UnlabelledLoader, hide_labels
from ueo.images.other_datasets import check_labelled, complete
from ueo.results.record import peak_memory, run_facts, write_run
from ueo.runs.current_inputs import method_inputs
from ueo.runs.evaluator import UFTEvaluator
from ueo.settings.config import is_online


def prepare(trainer) -> DatasetBase:
    """Complete the trainer's data set, and return it with labels and paths. Raises ConfigError if
    labels of test images would be trained on, and under --protocol online."""
    if is_online(trainer.cfg):
        raise ConfigError(f"--protocol online: {type(trainer).__name__} is not from this project")
    dataset = trainer.dm.dataset
    complete(dataset, trainer.cfg)
    trainer.inputs = {**dataset.inputs, **method_inputs(trainer.cfg)}
    if not getattr(trainer, "uses_labels", True):
        _hide_labels(trainer)
    elif trainer.get_model_names():
        check_labelled(type(trainer).__name__, dataset)
    return dataset


def _hide_labels(trainer) -> None:
    """Hide labels from the training loaders; from the test loader too if the evaluator has them."""
    dataset, test = trainer.dm.dataset, trainer.test_loader
    in_order = trainer.cfg.DATALOADER.TEST.SAMPLER == "SequentialSampler"
    if in_order and isinstance(trainer.evaluator, UFTEvaluator) and not distributed.launched():
        trainer.evaluator.use_labels([item.label for item in dataset.test])
        test = UnlabelledLoader(test)
    labelled, unlabelled = (
        loader and UnlabelledLoader(loader)
        for loader in (trainer.train_loader_x, trainer.train_loader_u)
    )
    hide_labels(trainer, UnlabelledDataset(dataset, dataset.train_x), labelled, unlabelled, test)


def write_record(trainer, dataset: DatasetBase, started: float) -> bool:
    """Write result.json and outputs.npz from what the evaluator saw last. Returns False, and prints
    why, if that was not the test set.

    dataset: what `prepare` returned; started: the run's time.monotonic(). Raises DataError if an
    image was replaced during the run.
    """
    check_unchanged(dataset, trainer.cfg)
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
        "test_paths": GroundTruth(dataset).paths("test"),
        **GroundTruth(dataset).classes(),
    }
    write_run(Path(trainer.output_dir), result, outputs)
    return True
