"""The evaluations of one run, before, during and after training; and its record."""

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modern_dassl import distributed
from ueo.clip.prompts import TEMPLATE
from ueo.files import write_json
from ueo.images.hashes import check_unchanged, short_hash
from ueo.images.hidden_labels import SETS, GroundTruth
from ueo.images.lists import NO_LABEL
from ueo.inputs import WEIGHTS
from ueo.losses import mutual_information
from ueo.metrics import percent
from ueo.results.check_outputs import h_score_of
from ueo.results.kept_outputs import write_kept
from ueo.results.predictions import (
    PREDICTIONS,
    SKIPPED,
    not_read,
    predictions_of,
    write_predictions,
    write_skipped,
)
from ueo.results.record import HISTORY, RESULT, peak_memory, read_history, run_facts, write_run
from ueo.runs.checkpoint import FACTS, NAMES_HASH, chosen_threshold, threshold_facts
from ueo.runs.evaluator import UFTEvaluator
from ueo.runs.keep_outputs import KeptOutputs
from ueo.runs.passes import AgainstNames, Passes

BEFORE, AFTER = "before", "after"  # training


class Evaluations:
    """Evaluations of `trainer` (a CLIPTrainer) on the test and the unlabelled set, whose labels are
    in `truth`.

    history: one entry per evaluation, {"epoch", "test": metrics, "unlabelled": metrics}; epoch 0 is
    the zero-shot model. Metrics are in percent, None if undefined.
    """

    def __init__(self, trainer, truth: GroundTruth):
        self.trainer, self._truth = trainer, truth
        self.history: list[dict] = []
        # "before" or "after" training -> "test_scores" and the like -> (images,)
        self.outputs: dict[str, dict[str, np.ndarray]] = {BEFORE: {}, AFTER: {}}
        self.passes = Passes(trainer)
        self.kept = KeptOutputs(trainer, truth, self.passes)
        self.against_names = AgainstNames(trainer, self.passes)
        self.started = time.monotonic()
        self.train_seconds, self.train_images = 0.0, 0
        self.resumed_from = self.resumed_from_batch = 0
        history = Path(trainer.output_dir, HISTORY)
        resuming = trainer.cfg.RESUME and history.is_file()
        self.earlier: list[dict] = read_history(history) if resuming else []

    @torch.no_grad()
    def run(self, epoch: int, last: bool = False) -> dict[str, Tensor]:
        """Evaluate both sets and extend the history. Returns each set's cosines, (images, K).

        epoch: number of epochs trained so far; last: this is the run's last evaluation.
        """
        trainer, zero_shot = self.trainer, epoch == 0
        features = self.passes.image_features(trainer.test_loader, "test", shared=zero_shot)
        classes = trainer.model.class_features()
        test = self.passes.cosines(features, classes)
        self.features, self._cosines = features, test
        rows, unlabelled = self._truth.rows_in_test(self._truth.items("unlabelled")), None
        if rows is None:
            unlabelled = self.passes.unlabelled_features(shared=zero_shot)
            its = self.passes.cosines(unlabelled, classes)
        else:  # all are test images, already computed
            its = test[rows]
        self._rows, self._unlabelled = rows, unlabelled
        cosines, keeps = {"test": test, "unlabelled": its}, self.kept.wanted and (last or zero_shot)
        names, scores = self.against_names, {name: {} for name in SETS}
        if names.reported or names.asked and keeps:
            scores = names.scores(features, cosines, rows, unlabelled)
        entry = {"epoch": epoch}
        for name in SETS:
            print(f"Evaluate on the *{name}* set, epoch {epoch}")
            entry[name] = self._measure(name, cosines[name], scores[name], epoch)
        if keeps:
            self.kept.add(epoch, cosines, features, classes, scores["test"])
        self.remember(entry)
        return cosines

    def remember(self, entry: dict) -> None:
        """Extend the history and its file. Evaluating a finished run does not change its file."""
        self.history.append(entry)
        folder = Path(self.trainer.output_dir)
        only_evaluated = self.history[0]["epoch"] > 0 and (folder / RESULT).exists()
        if not only_evaluated and distributed.is_main():
            # later entries of an interrupted run stay until they are replaced
            later = [e for e in self.earlier if e["epoch"] > entry["epoch"]]
            write_json(folder / HISTORY, self.history + later)

    def _measure(
        self, name: str, cosines: Tensor, against_names: dict[str, Tensor], epoch: int
    ) -> dict:
        trainer, truth = self.trainer, self._truth
        score = trainer.options.SCORE
        evaluator = UFTEvaluator(
            trainer.cfg,
            num_known=len(truth.dataset.classnames),
            lab2cname=dict(enumerate(truth.dataset.classnames)),
            unlabelled_classes={*truth.labels("unlabelled").tolist()} - {NO_LABEL},
            score=score,
            given=against_names.get(score),
            prefix="" if name == "test" else name,
            logit_scale=trainer.model.logit_scale,
        )
        evaluator.process(cosines, truth.labels(name))
        values = dict(evaluator.evaluate())
        outputs = self.outputs[BEFORE if epoch == 0 else AFTER]
        found = evaluator.outputs()
        outputs.update({f"{name}_{key}": found[key] for key in found if key != "labels"})
        values.update(self._without_labels(name, outputs))
        if name == "unlabelled":
            probabilities = (trainer.model.logit_scale * cosines.float()).softmax(-1)
            values["mutual_information"] = percent(mutual_information(probabilities))
        for key, value in values.items():
            if value is not None:
                trainer.write_scalar(f"{name}/{key}", value, epoch)
        return values

    def _without_labels(self, name: str, outputs: dict[str, np.ndarray]) -> dict:
        """Return the metrics that need no labels; print them if the set has none."""
        predictions = outputs[f"{name}_predictions"]
        values = {
            "classes_predicted": len(np.unique(predictions)),
            "mean_score": float(outputs[f"{name}_scores"].mean()),
        }
        if (self._truth.labels(name) == NO_LABEL).all():
            print(f"* images: {len(predictions):,}")
            for key, value in values.items():
                print(f"* {key}: {value:.4g}")
        return values

    def _changed(self) -> float:
        """Percentage of test images whose prediction differs from that before training."""
        before, after = self.outputs[BEFORE]["test_predictions"], self._after()["test_predictions"]
        return percent(float((before != after).mean()))

    def resume(self, epoch: int) -> None:
        """Keep the earlier evaluations up to `epoch`, whose checkpoint was loaded."""
        self.resumed_from = epoch
        done = min(epoch, self.trainer.max_epoch - 1)  # the last evaluation is made again
        self.history += [entry for entry in self.earlier if 0 < entry["epoch"] <= done]

    def count_training(self, seconds: float, images: int) -> None:
        """Add an epoch's wall time and number of images."""
        self.train_seconds += seconds
        self.train_images += images

    def write_record(self) -> None:
        """Write result.json and outputs.npz into the run's folder, in the main process. Raises
        DataError if an image was replaced during the run."""
        if not distributed.is_main():
            return
        trainer, dataset = self.trainer, self._truth.dataset
        check_unchanged(dataset, trainer.cfg)
        seconds, outputs = self.train_seconds, self._all_outputs()
        facts = self._facts(outputs)
        threshold = chosen_threshold(facts)
        metrics = {name: dict(self.history[-1][name]) for name in SETS}
        score = h_score_of(outputs, len(dataset.classnames), threshold)
        metrics["test"]["h_score"] = percent(score)
        result = {
            **run_facts(trainer.cfg, dataset, trainer.device, trainer.inputs),
            "set_by_hand": trainer.set_by_hand,
            "precision": trainer.precision,
            "uses_labels": trainer.uses_labels,
            "reads_labels": trainer.reads_labels,
            "metrics": metrics,
            "threshold_rule": facts["rule"],  # of the H-score
            "changed_predictions": self._changed(),
            "notes": trainer.notes,
            "evaluations": self.history,
            "resumed_from_epoch": self.resumed_from,
            "resumed_from_batch": self.resumed_from_batch,  # of that epoch, or of a stream
            "wall_seconds": time.monotonic() - self.started,
            "train_seconds": seconds,
            "train_images_per_second": self.train_images / seconds if seconds else None,
            "peak_memory_bytes": peak_memory(trainer.device),
            **self._further(outputs),
        }
        result["counts"]["tuned_parameters"] = sum(
            p.numel() for group in trainer.groups.values() for p in group.values()
        )
        write_json(Path(trainer.output_dir, FACTS), facts)
        self._write_predictions(outputs, threshold)
        write_kept(trainer.output_dir, self.kept.arrays)
        if self.against_names.reported:
            self.against_names.names.write(trainer.output_dir)
        write_run(trainer.output_dir, result, outputs)

    def _further(self, outputs: dict[str, np.ndarray]) -> dict:
        return {}  # more entries of the record, from a subclass

    def _facts(self, outputs: dict[str, np.ndarray]) -> dict:
        """Contents of model.json."""
        trainer, dataset = self.trainer, self._truth.dataset
        return {
            "class_names": list(dataset.classnames),
            NAMES_HASH: short_hash(list(dataset.classnames)),
            "template": getattr(dataset, "template", TEMPLATE),
            "images": {name: len(getattr(dataset, name)) for name in ("train_x", "train_u")},
            **threshold_facts(outputs, self._scores_alone()),
            "score": trainer.options.SCORE,
            "weights": trainer.inputs.get(WEIGHTS),
            "independent": trainer.model.independent,
            "trained": bool(trainer.get_model_names()),
        }

    def _scores_alone(self) -> np.ndarray | None:
        if hasattr(self.trainer.model.adapter, "jointly"):
            features = self.features[self._rows] if self._unlabelled is None else self._unlabelled
            return self.passes.scores_alone(features, self.against_names.names)

    def _write_predictions(self, outputs: dict[str, np.ndarray], threshold: float | None) -> None:
        """Write predictions.csv if the images are the user's own or some have no label; for own
        images also skipped.csv. threshold: lowest score that counts as known; None: all do."""
        trainer, dataset = self.trainer, self._truth.dataset
        if getattr(dataset, "own", False):
            write_skipped(Path(trainer.output_dir, SKIPPED), not_read(dataset))
        if getattr(dataset, "own", False) or (outputs["test_labels"] == NO_LABEL).any():
            probabilities = (trainer.model.logit_scale * self._cosines).softmax(-1).numpy()
            write_predictions(Path(trainer.output_dir, PREDICTIONS), predictions_of(
                outputs["test_paths"].tolist(), probabilities, outputs["test_scores_after"],
                threshold, dataset.classnames, outputs["test_predictions_before"],
            ))

    def _all_outputs(self) -> dict[str, np.ndarray]:
        """Contents of outputs.npz. If nothing was trained, "after" equals "before"."""
        found = {f"{name}_before": array for name, array in self.outputs[BEFORE].items()}
        found |= {f"{name}_after": array for name, array in self._after().items()}
        found |= {f"{name}_labels": self._truth.labels(name).numpy() for name in SETS}
        return {**found, **self._paths(), **self._truth.classes()}

    def _paths(self) -> dict[str, np.ndarray]:
        return {f"{name}_paths": self._truth.paths(name) for name in SETS}

    def _after(self) -> dict[str, np.ndarray]:
        return {**self.outputs[BEFORE], **self.outputs[AFTER]}
